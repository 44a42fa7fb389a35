"""docs/from-sb3.md and docs/hooks.md cover all of Stable-Baselines3's A2C; the scripts run in both versions."""

import inspect
import math
import re
from pathlib import Path

import pytest
import stable_baselines3 as sb3
from stable_baselines3.common import callbacks
from stable_baselines3.common.policies import ActorCriticPolicy

import rl.experiments.from_sb3 as from_sb3
from agents import A2C
from agents.ppo import PPO
from agents.settings.values import ConfigError
from tests import ROOT

TEXT = (ROOT / "docs/from-sb3.md").read_text(encoding="utf-8")
PAIRS = from_sb3.pairs(ROOT / from_sb3.FOLDER)
SCRIPTS = [path for pair in PAIRS for path in pair]


def named(heading: str, text: str = TEXT) -> set[str]:
    """The names in the first column of the tables below a heading."""
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")]
    return set(re.findall(r"`(\w+)", " ".join(cells))) | set(re.findall(r"(\w+)[=,)]", " ".join(cells)))


def public(names: list[str]) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def test_every_argument() -> None:
    assert named("Arguments of A2C") >= inspect.signature(sb3.A2C).parameters.keys()
    theirs = inspect.signature(ActorCriticPolicy).parameters.keys()
    assert named("Arguments of A2C") >= theirs - {"observation_space", "action_space", "lr_schedule"}


def test_every_argument_of_ppo_and_its_default() -> None:
    theirs = inspect.signature(sb3.PPO).parameters
    assert named("Arguments of A2C") | named("Arguments of PPO") >= theirs.keys()
    agent = PPO("CartPole-v1")
    apart = {name for name, x in theirs.items() if hasattr(agent, name) and getattr(agent, name) != x.default}
    assert apart == {"env", "policy", "seed"}


def test_every_method_and_its_arguments() -> None:
    methods = {name for name in public(dir(sb3.A2C)) if callable(getattr(sb3.A2C, name))}
    assert named("Methods") >= methods
    for name in ("learn", "predict", "save", "load"):
        arguments = inspect.signature(getattr(sb3.A2C, name)).parameters.keys()
        assert named("Methods") >= arguments - {"self", "kwargs"}


def test_every_attribute() -> None:
    attributes = public([*vars(sb3.A2C("MlpPolicy", "CartPole-v1", device="cpu"))])
    assert named("Attributes") >= attributes
    agent = A2C("CartPole-v1")
    for line in TEXT.partition("\n## Attributes\n")[2].partition("\n## ")[0].splitlines():
        if line.endswith("| the same |"):
            assert all(hasattr(agent, name) for name in re.findall(r"`(\w+)`", line))


def test_every_callback() -> None:
    theirs = {name for name, kind in vars(callbacks).items() if inspect.isclass(kind) and name.endswith("Callback")}
    theirs |= {name for name in vars(callbacks) if name.startswith(("StopTraining", "EveryN", "LogEveryN"))}
    hooks = (ROOT / "docs/hooks.md").read_text(encoding="utf-8")
    assert named("Callbacks of Stable-Baselines3", hooks) >= theirs | {"CallbackList"}


def test_there_are_twelve_pairs_and_few_lines_differ() -> None:
    assert len(PAIRS) == 12
    assert {path.name for path in (ROOT / from_sb3.FOLDER).glob("*.py")} == {path.name for path in SCRIPTS}
    for pair in PAIRS:
        total, differing = pair.lines
        assert differing < 0.7 * total, pair.name
        assert "import A2C" in pair.before.read_text(encoding="utf-8")
        assert "from agents import A2C" in pair.after.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_run(path: Path) -> None:
    assert math.isfinite(from_sb3.main_of(path)(0, steps=80, episodes=1))


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_sb3.py").write_text("x = 1\ny = 2\n\ndef main(seed=0):\n    return seed + x\n", encoding="utf-8")
    (tmp_path / "a.py").write_text("x = 4\n\ndef main(seed=0):\n    return seed + x\n", encoding="utf-8")
    (pair,) = from_sb3.pairs(tmp_path)
    assert (pair.name, pair.lines) == ("a", (5, 2))
    scores = from_sb3.score_all([pair], [3, 4], tmp_path / "new" / "scores.jsonl")
    assert scores == {pair.before: [4, 5], pair.after: [7, 8]}
    monkeypatch.setattr(from_sb3, "main_of", None)
    assert from_sb3.score_all([pair], [3, 4], tmp_path / "new" / "scores.jsonl") == scores, "they are kept"
    text = str(from_sb3.page([pair], scores, [3, 4], "command"))
    assert "| 2 of 5 | 4.50 | 7.50 | 3.00 [" in text
    assert "Every interval contains 0" not in text
    one = {path: each[:1] for path, each in scores.items()}
    text = " ".join(str(from_sb3.page([pair], one, [3], "command")).split())
    assert "over seeds. One seed has no interval." in text
    assert "excludes 0" not in text
    with pytest.raises(ConfigError, match="has no scripts: run this command in a checkout"):
        from_sb3.pairs(tmp_path / "nowhere")


def test_a_difference_and_its_interval() -> None:
    apart = from_sb3.difference([2.0, 4.0, 3.0], [1.0, 1.0, 1.0])
    assert apart.value == pytest.approx(2)
    assert apart.low < 2 < apart.high
