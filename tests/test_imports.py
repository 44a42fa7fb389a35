"""The three layers: rl imports agents, agents imports envs, never upward. Read from folders and syntax trees."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import rl
from tests import ROOT

FLOORS = ("envs", "agents", "rl")  # import packages, lowest layer first
HEAVY = (
    "stable_baselines3", "envpool", "ale_py", "cv2", "ray", "numba", "matplotlib", "minari", "optuna", "tensorboard",
    "torch.utils.tensorboard",
)  # fmt: skip


def modules_of(root: Path) -> dict[str, Path]:
    """Module name → file, for every file of the three packages."""
    files = (file for package in FLOORS for file in (root / package).rglob("*.py"))
    return {".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def imports_of(module: str, file: Path, known: dict[str, Path], strings: bool = True) -> set[str]:
    """Known modules that a file imports (at top level, in functions, under TYPE_CHECKING) or names in a string."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for name in _imported_names(ast.parse(file.read_text(encoding="utf-8")), package, strings):
        while name not in known and "." in name:
            name = name.rpartition(".")[0]
        if name in known and name != module:
            found.add(name)
    return found


def _imported_names(tree: ast.AST, package: str, strings: bool) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif strings and isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_module_name(node.value):
            yield node.value.partition(":")[0]  # for importlib, entry points and tables of names


def _is_module_name(text: str) -> bool:
    """ "rl.train" alone does not count: it names a command, run by a subprocess."""
    parts = text.replace(":", ".").split(".")
    return parts[0] in FLOORS and len(parts) > 2 and all(part.isidentifier() for part in parts)


def upward(arrows: dict[str, set[str]]) -> list[str]:
    height = {module: FLOORS.index(module.partition(".")[0]) for module in arrows}
    return sorted(f"{a} → {b}" for a, targets in arrows.items() for b in targets if height[b] > height[a])


def circles(arrows: dict[str, set[str]]) -> list[str]:
    """Modules that remain after repeatedly removing those that import no remaining module."""
    left = {module: set(targets) for module, targets in arrows.items()}
    while free := {module for module, targets in left.items() if not targets}:
        left = {module: targets - free for module, targets in left.items() if module not in free}
    return sorted(left)


@pytest.fixture(scope="module")
def arrows() -> dict[str, set[str]]:
    known = modules_of(ROOT)
    return {module: imports_of(module, file, known) for module, file in known.items()}


def test_no_import_points_upward(arrows: dict[str, set[str]]) -> None:
    assert upward(arrows) == []


def test_no_circle_of_imports(arrows: dict[str, set[str]]) -> None:
    assert circles(arrows) == []


def test_nobody_imports_a_command() -> None:
    """Files directly in rl/ are commands. A string such as "rl.train" may start one in a separate process."""
    known = modules_of(ROOT)
    commands = {".".join(file.relative_to(ROOT).with_suffix("").parts) for file in (ROOT / "rl").glob("[!_]*.py")}
    found = {module: imports_of(module, file, known, strings=False) & commands for module, file in known.items()}
    assert {module: targets for module, targets in found.items() if targets} == {}


@pytest.mark.parametrize(
    "line",
    [
        "from rl.run import terminal",
        "def f():\n    import rl.train",
        "if TYPE_CHECKING:\n    from rl import compare",
        "COMMAND = 'rl.experiments.parallel:run'",
    ],
)
def test_an_upward_import_is_seen(tmp_path: Path, line: str) -> None:
    """In any spelling of the import."""
    for name, text in (("agents/a2c.py", line), ("rl/train.py", ""), ("rl/compare.py", ""), ("rl/__init__.py", "")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    for name in ("rl/run/terminal.py", "rl/experiments/parallel.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
    known = modules_of(tmp_path)
    assert upward({module: imports_of(module, file, known) for module, file in known.items()}) != []


def test_a_circle_is_seen() -> None:
    assert circles({"agents.a": {"agents.b"}, "agents.b": {"agents.a"}, "agents.c": {"agents.a"}, "envs.d": set()}) == [
        "agents.a", "agents.b", "agents.c",
    ]  # fmt: skip


@pytest.mark.parametrize(("former", "present"), rl.MOVED.items())
def test_documented_modules_are_found_under_their_former_names(former: str, present: str) -> None:
    old, new = import_module(former), import_module(present)
    assert {name: vars(old)[name] for name in vars(new) if not name.startswith("_")} == {
        name: value for name, value in vars(new).items() if not name.startswith("_")
    }
    assert old.__name__ == former
    assert new.__name__ == present


def test_the_function_evaluate_outlives_the_import_of_its_command() -> None:
    """Building, training and evaluating do not load torch's compiler, which would double the start-up time."""
    code = (
        "import rl, rl.evaluate, sys; from agents import A2C; from agents.ppo import PPO; rl.evaluate.main; "
        "PPO('CartPole-v1').state_dict(); "
        "print(rl.evaluate(A2C('CartPole-v1', num_envs=2, n_steps=4).learn(8), 'CartPole-v1', 2).mean > 0, "
        "[name for name in ('torch._dynamo', 'sympy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "True []"


def test_imports_are_cheap() -> None:
    code = f"import sys, rl, rl.gan, agents, envs; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
