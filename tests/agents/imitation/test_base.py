"""Requirements for all algorithms around an A2C: exact resume, in Python and on the command line; one-line errors."""

import ast
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import A2C, Agent, registry
from agents.demonstrations import record, save
from agents.imitation.clone import Clone
from agents.imitation.distill import Distill
from agents.imitation.gail import GAIL
from agents.settings.values import ConfigError
from tests import ROOT
from tests.agents.imitation.conftest import FEW, Given
from tests.matrix import ACTIONS, OBSERVATIONS, Match

AROUND = ("clone", "gail", "gail-ppo", "distill", "distill-ppo", "mutual", "mutual-ppo")


def built(case: str, given: Given) -> Agent:
    own = {**FEW, "normalize_observations": True, **given[case]}
    return registry.build(case.split()[0], "CartPole-v1", own)


def parameters(agent: Agent) -> list[torch.Tensor]:
    return [x for network in agent.networks for x in network.state_dict().values()]


@pytest.mark.parametrize("case", ["clone", "gail", "distill", "mutual", "distill offline", "clone to its end"])
def test_training_goes_on_exactly(case: str, given: Given, tmp_path: Path) -> None:
    """N steps equal N/2 steps, a checkpoint, and N/2 steps: same parameters, and same metrics from there on."""
    whole, half = built(case, given), built(case, given)
    rows: list[dict[str, float]] = []
    again: list[dict[str, float]] = []
    whole.learn(800, [lambda status: rows.append({key: float(x) for key, x in status.metrics.items()})])
    half.learn(400)
    path = half.save(tmp_path / "half")
    half.worlds.close()
    half = registry.load(path)
    half.learn(400, [lambda status: again.append({key: float(x) for key, x in status.metrics.items()})])
    assert half.loop.step == whole.loop.step
    for x, y in zip(parameters(whole), parameters(half), strict=True):
        assert torch.equal(x, y)
    assert again
    for row, other in zip(rows[len(rows) - len(again) :], again, strict=True):
        assert row == pytest.approx(other, rel=0, abs=0, nan_ok=True)


WORLDS = [  # observations, actions, settings
    ("image, HWC", "Discrete, start", {}),
    ("Dict", "MultiDiscrete", {"normalize_observations": True}),
    ("nested, with an image", "MultiBinary", {}),
    ("matrix, float64", "Box, (2, 2), float64", {"normalize_observations": True}),
    ("vector", "Box", {"squash_output": True}),
    ("vector", "Box", {"use_sde": True}),
    ("Discrete", "MultiDiscrete, 2-D, start", {}),
]


@pytest.mark.parametrize(("seen", "acted", "own"), WORLDS)
def test_any_spaces(seen: str, acted: str, own: dict[str, object], tmp_path: Path) -> None:
    """An environment object with these spaces is recorded, cloned, imitated and distilled; the clone and the student
    approach what they learn from."""
    world = Match(OBSERVATIONS[seen], ACTIONS[acted])
    settings: dict[str, object] = {
        "net_arch": (8,),
        "features_dim": 8,
        "n_steps": 4,
        "learning_rate": 0.01,
        "engine": "torch",
        **own,
    }
    expert = A2C(world, **settings)
    shown = record(expert, world, 48, deterministic=False)
    file = str(save(tmp_path / "d", shown))
    teacher = str(expert.save(tmp_path / "teacher"))

    def agent() -> A2C:
        return A2C(Match(OBSERVATIONS[seen], ACTIONS[acted]), seed=1, **settings)

    if "use_sde" not in own:
        losses: list[float] = []
        clone = Clone(agent(), demonstrations=file, batch_size=12, validation_fraction=0)
        clone.learn(48 * 20, [lambda status: losses.extend(status.series["train/loss"].reshape(-1).tolist())])
        assert np.mean(losses[-10:]) < np.mean(losses[:5])
    gail = GAIL(agent(), demonstrations=file, discriminator_batch=16, next_obs=True).learn(64)
    assert all(bool(x.isfinite().all()) for network in gail.networks for x in network.parameters())
    assert len(gail.buffer) == 128, "each episode is one step, which goes on in the absorbing state"
    assert registry.load_actor(teacher).worlds.env_obs_space == OBSERVATIONS[seen]
    registered = f"Matched{WORLDS.index((seen, acted, own))}-v0"
    gym.register(registered, lambda: Match(OBSERVATIONS[seen], ACTIONS[acted]), disable_env_checker=True)
    teacher = str(A2C(registered, num_envs=1, **settings).save(tmp_path / "again"))
    student, kl = A2C(registered, seed=1, num_envs=4, **settings), list[float]()
    Distill(student, teachers=(teacher,)).learn(
        16 * 40, [lambda status: kl.append(float(status.metrics["train/teacher_kl"]))]
    )
    assert np.mean(kl[-5:]) < np.mean(kl[:3])


FORMULAS = {
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "kl_div", "log", "log1p",
    "log_softmax", "logaddexp", "logsigmoid", "logsumexp", "nll_loss", "sigmoid", "softmax", "softplus",
}  # fmt: skip
LEARNERS = [path for path in sorted((ROOT / "agents/imitation").glob("*.py")) if path.stem != "__init__"]


@pytest.mark.parametrize("path", LEARNERS, ids=lambda path: path.stem)
def test_no_second_formula(path: Path) -> None:
    """Logarithms, softmax and divergences come from rl.information, which is accurate where torch is not."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    owned = [(ast.unparse(f.value), f.attr) for f in calls if isinstance(f, ast.Attribute) and f.attr in FORMULAS]
    assert [f"{owner}.{name}" for owner, name in owned if owner != "information"] == []


@pytest.mark.parametrize("case", ["clone", "gail", "gail-ppo", "distill", "distill-ppo"])
def test_set_env(case: str, given: Given) -> None:
    agent = registry.build(case, "CartPole-v1", {**FEW, **given[case]})
    old = agent.worlds
    agent.set_env("CartPole-v1")  # type: ignore[attr-defined]
    assert agent.worlds is agent.loop.worlds is agent.agent.worlds is not old  # type: ignore[attr-defined]
    agent.learn(64)


def test_set_env_is_refused_by_mutual_learning() -> None:
    mutual = registry.build("mutual", "CartPole-v1", FEW)
    with pytest.raises(ConfigError, match=r"^set_env: .* pass an environment id as env= to load"):
        mutual.set_env("CartPole-v1")  # type: ignore[attr-defined]
