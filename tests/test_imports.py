"""What imports bring in, and that they point down the floors of the house only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = (
    "stable_baselines3", "envpool", "ale_py", "cv2", "ray", "numba", "matplotlib", "minari", "optuna", "tensorboard",
    "torch.utils.tensorboard",
)  # fmt: skip

# docs/architecture.md draws these floors; a file may import from lower floors, and from its own
FLOORS: list[list[str]] = [
    [
        "rl.information", "rl.information.bernoulli", "rl.information.categorical", "rl.information.checks",
        "rl.information.closed_form", "rl.information.gaussian", "rl.information.losses", "rl.information.pairs",
        "rl.information.probabilities", "rl.information.products", "rl.information.rivals", "rl.information.series",
        "rl.distributions", "rl.distributions.bounded",
        "rl.distributions.continuous", "rl.distributions.discrete", "rl.distributions.protocol",
        "rl.gan", "rl.gan.experiments", "rl.gan.games", "rl.gan.losses", "rl.gan.toys", "rl.gan.training",
        "rl.returns", "rl.rollout", "rl.normalize", "rl.schedules", "rl.statistics", "rl.threads",
    ],
    [
        "envs", "envs.building", "envs.compiling", "envs.errors", "envs.flat", "envs.make", "envs.masks",
        "envs.native", "envs.pcg64", "envs.physics", "envs.pool", "envs.probes", "envs.processes", "envs.rows",
        "envs.snapshot", "envs.spaces", "envs.variant", "envs.worlds",
    ],
    [
        "rl", "rl.checkpoint", "rl.command", "rl.conclude", "rl.config", "rl.demonstrations",
        "rl.demonstrations.checks", "rl.demonstrations.data", "rl.demonstrations.files", "rl.demonstrations.minari",
        "rl.demonstrations.recording", "rl.evaluation", "rl.figures", "rl.gan.figure", "rl.gan.report", "rl.imitation",
        "rl.imitation.figure", "rl.imitation.outcomes", "rl.imitation.peers", "rl.imitation.report",
        "rl.launch", "rl.loop", "rl.markdown", "rl.play",
        "rl.progress", "rl.ranking", "rl.record", "rl.report", "rl.sealed", "rl.search", "rl.study", "rl.suites",
        "rl.suites.panels", "rl.suites.report", "rl.typed", "rl.unseen", "rl.unseen.report", "rl.zoo",
        "rl.zoo.figure", "rl.zoo.report",
    ],
    [
        "agents", "agents.a2c", "agents.architecture", "agents.descent", "agents.engines", "agents.exploration",
        "agents.features", "agents.forward", "agents.heads", "agents.fused", "agents.fused.chunk",
        "agents.fused.coefficients", "agents.fused.engine", "agents.fused.heads", "agents.fused.learn",
        "agents.fused.memory", "agents.fused.network", "agents.fused.norms",
        "agents.fused.optimizers", "agents.fused.products", "agents.fused.shared",
        "agents.clone", "agents.discriminator", "agents.distill", "agents.gail", "agents.method", "agents.mutual",
        "agents.networks", "agents.offline", "agents.optimizers", "agents.registry", "agents.teachers", "agents.sb3",
        "agents.sb3.baseline", "agents.sb3.carry", "agents.sb3.model", "agents.sb3.precise", "agents.sb3.replay",
        "agents.settings", "agents.shift", "agents.storage",
    ],
    [
        "rl.bench", "rl.bench.rejax_rates", "rl.bench.report", "rl.bench.systems", "rl.bench.timing",
        "rl.header", "rl.imitation.training", "rl.runs", "rl.suites.training", "rl.trials", "rl.unseen.suite",
        "rl.zoo.suite",
    ],
    [
        "rl.baseline", "rl.bench.__main__", "rl.compare", "rl.demos", "rl.evaluate", "rl.gan.__main__",
        "rl.imitation.__main__", "rl.index", "rl.information.__main__", "rl.lockstep", "rl.plot",
        "rl.sweep", "rl.train",
    ],
]  # fmt: skip
FLOOR = {module: height for height, floor in enumerate(FLOORS) for module in floor}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    """Modules of this project that a file imports, wherever in the file it does so."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (submodules & FLOOR.keys()) or {node.module}
    return {name for name in found if name.split(".")[0] in ("rl", "agents", "envs")}


SOURCES = sorted(path for package in ("rl", "agents", "envs") for path in (ROOT / package).rglob("*.py"))


def test_every_module_has_a_floor() -> None:
    assert {module_of(path) for path in SOURCES} == FLOOR.keys()


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_imports_point_down(path: Path) -> None:
    module = module_of(path)
    upward = {name for name in imports_of(path) if FLOOR[name] > FLOOR[module]}
    assert not upward
    if FLOOR[module] == len(FLOORS) - 1:
        assert not imports_of(path) & set(FLOORS[-1]), "nobody imports an application"


def test_imports_are_cheap() -> None:
    code = f"import sys, rl, rl.gan, agents, envs; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
