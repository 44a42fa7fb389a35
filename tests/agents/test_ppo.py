"""PPO: equal to A2C with one epoch of one minibatch; objective by hand, minibatches, exact resume."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agents import A2C
from agents.minibatches import Shuffle, mix
from agents.ppo import PPO, Samples
from agents.rollout import Rollout, collect
from agents.settings.values import ConfigError
from rl import evaluate
from tests.matrix import ACTIONS, OBSERVATIONS, Match

A2C_LIKE = {
    "use_rms_prop": True, "rms_prop_eps": 1e-5, "learning_rate": 7e-4, "gae_lambda": 0.95, "normalize_advantage": False,
    "num_envs": 4, "n_steps": 16, "engine": "torch",
}  # fmt: skip
SMALL = {"num_envs": 4, "n_steps": 32, "batch_size": 32, "n_epochs": 4, "engine": "torch"}


def parameters(agent: A2C) -> Tensor:
    return torch.cat([p.detach().flatten() for network in agent.networks for p in network.parameters()])


def rollouts(agent: A2C, count: int) -> list[Rollout]:
    obs, _ = agent.worlds.reset()
    found = []
    for _ in range(count):
        rollout, obs, _ = collect(agent.worlds, agent, obs, agent.n_steps, 0)
        found.append(rollout)
    return found


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"normalize_advantage": True, "normalize_observations": True, "normalize_rewards": True},
        {"ent_coef": 0.01, "max_policy_shift": 1e-4, "target_policy_shift": 1e-5, "target_entropy": 0.6},
        {"gru_size": 8, "net_arch": (16,)},
    ],
)
def test_one_epoch_of_one_minibatch_is_a2c_to_the_bit(env_id: str, settings: dict[str, Any]) -> None:
    chosen = {**A2C_LIKE, **settings}
    if env_id == "Pendulum-v1":
        chosen.pop("target_entropy", None)
    a2c, ppo = A2C(env_id, **chosen), PPO(env_id, n_epochs=1, batch_size=64, **chosen)
    a2c.learn(64 * 10)
    ppo.learn(64 * 10)
    assert torch.equal(parameters(a2c), parameters(ppo))


def part(ratio: list[float], advantage: list[float], v: list[float], target: list[float], pi: PPO) -> Samples:
    """Samples in the initial state of CartPole-v1, with old probabilities that give these ratios."""
    count = len(ratio)
    x, action = torch.zeros(1, count, 4), torch.zeros(1, count, dtype=torch.int64)
    with torch.no_grad():
        raw = pi.policy(x).raw
        now = pi.policy(x).log_prob(action)
    columns = (torch.tensor([column], dtype=torch.float32) for column in (advantage, target, v))
    return Samples(x, None, None, action, raw, now - torch.tensor([ratio]).log(), *columns)


def test_the_objective_by_hand() -> None:
    """Ratios 1.5 and 0.5 with advantages of both signs, ε = 0.2: the smaller one of ρ Â and clip(ρ) Â."""
    agent = PPO("CartPole-v1", normalize_advantage=False, vf_coef=1.0, **SMALL)
    samples = part([1.5, 1.5, 0.5, 0.5, 1.1], [1, -1, 1, -1, 2], [0] * 5, [0] * 5, agent)
    with torch.no_grad():
        v = float(agent.value(samples.x)[0, 0])
        loss = agent.loss(samples)
    gains = [1.2, -1.5, 0.5, -0.8, 2.2]
    assert float(loss.metrics["train/policy_loss"]) == pytest.approx(-sum(gains) / 5)
    assert float(loss.metrics["train/clip_fraction"]) == pytest.approx(4 / 5)
    ratios = (1.5, 1.5, 0.5, 0.5, 1.1)
    assert float(loss.metrics["train/approx_kl"]) == pytest.approx(sum(r - 1 - math.log(r) for r in ratios) / 5)
    assert float(loss.metrics["train/value_loss"]) == pytest.approx(v * v)
    assert float(loss.total) == pytest.approx(-sum(gains) / 5 + v * v)
    unclipped = PPO("CartPole-v1", normalize_advantage=False, clip_range=None, **SMALL)
    assert float(unclipped.loss(samples).metrics["train/policy_loss"]) == pytest.approx(-(0 + 0 + 2.2) / 5)


def test_the_clipped_value_by_hand() -> None:
    agent = PPO("CartPole-v1", clip_range_vf=0.25, **SMALL)
    with torch.no_grad():
        v = float(agent.value(torch.zeros(1, 1, 4)))
    samples = part([1, 1], [1, 2], [v + 1, v - 0.1], [v + 3, v + 3], agent)
    with torch.no_grad():
        value_loss = float(agent.loss(samples).metrics["train/value_loss"])
    assert value_loss == pytest.approx(((3 - 0.75) ** 2 + 3**2) / 2, rel=1e-5)


def test_an_epoch_takes_every_row_once_in_a_fresh_order() -> None:
    shuffle = Shuffle(5)
    first, second = (np.concatenate(list(shuffle.minibatches(100, 32))) for _ in range(2))  # type: ignore[arg-type]
    assert sorted(first) == sorted(second) == list(range(100))
    assert (first != second).sum() > 80
    assert [len(np.arange(100)[columns]) for columns in shuffle.minibatches(100, 32)] == [32, 32, 32, 4]
    assert list(shuffle.minibatches(100, 100)) == [slice(None)]


def test_the_keys_are_those_of_splitmix64() -> None:
    """The first numbers of the reference implementation from seed 1234567."""
    keys = mix(np.full(3, 1234567, np.uint64), np.arange(3, dtype=np.uint64))
    assert keys.tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_minibatches_of_a_recurrent_agent_are_sequences() -> None:
    agent = PPO("CartPole-v1", gru_size=8, **{**SMALL, "batch_size": 64})
    seen = []
    loss = agent.loss

    def watched(part: Samples, progress: float = 0.0) -> Any:
        seen.append(part.x.shape)
        assert part.recurrent is not None
        assert part.recurrent.state.shape == (2, 8)
        return loss(part, progress)

    agent.loss = watched  # type: ignore[method-assign]
    agent.learn(128)
    assert set(seen) == {(32, 2, 4)}
    assert len(seen) == 4 * 2


@pytest.mark.parametrize("engine", ["torch", "fused"])
def test_exact_resume(engine: str, tmp_path: Path) -> None:
    settings = {**SMALL, "engine": engine, "normalize_observations": True, "kl_coef": 0.1, "target_policy_shift": 1e-3}
    whole = PPO("CartPole-v1", **settings)
    whole.learn(128 * 6)
    half = PPO("CartPole-v1", **settings)
    half.learn(128 * 3)
    again = PPO.load(half.save(tmp_path / "half"))
    again.learn(128 * 3)
    assert torch.equal(parameters(again), parameters(whole))
    np.testing.assert_array_equal(again.shuffle.state, whole.shuffle.state)
    assert again.learner.optimizer.penalty_factor.value == whole.learner.optimizer.penalty_factor.value != 1


@pytest.mark.parametrize(
    ("observations", "actions"),
    [
        ("vector", "MultiDiscrete"),
        ("image, CHW", "Discrete"),
        ("nested, with an image", "Box"),
        ("vector", "MultiBinary"),
    ],
)
def test_spaces_are_learned(observations: str, actions: str) -> None:
    def build() -> Match:
        return Match(OBSERVATIONS[observations], ACTIONS[actions])

    agent = PPO(
        build, num_envs=16, n_steps=8, batch_size=64, n_epochs=4, learning_rate=3e-3, features_dim=32, net_arch=(32,),
        log_std_init=-1.0,
    )  # fmt: skip
    agent.learn(16 * 8 * 25)
    assert evaluate(agent, build, 40).mean > 0.85


def test_cart_pole_is_learned() -> None:
    """With Stable-Baselines3's settings; a random policy scores 22."""
    agent = PPO("CartPole-v1", seed=100, engine="fused")
    assert evaluate(agent.learn(12 * 2048), "CartPole-v1", 20).mean > 300


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"batch_size": 1}, "normalize_advantage needs more than one step per minibatch: raise batch_size"),
        ({"n_steps": 33, "num_envs": 1, "batch_size": 32}, "the last of 33 steps in minibatches of 32 would be alone"),
        ({"n_steps": 1, "batch_size": 1, "gru_size": 4}, "normalize_advantage needs more than one step per minibatch"),
        ({"n_steps": 1, "num_envs": 5, "batch_size": 4, "gru_size": 4}, "the last of 5 steps in minibatches of 4"),
        ({"shift_excess": "stop"}, "shift_excess does nothing without max_policy_shift"),
        ({"clip_range": -0.1}, "clip_range must not be negative, got -0.1"),
        ({"kl_coef": -1.0}, "kl_coef must not be negative"),
        ({"target_kl": 0.0}, "target_kl must be positive or null"),
        ({"n_epochs": 0}, "n_epochs"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        PPO("CartPole-v1", **{**SMALL, **settings})


@pytest.mark.parametrize("engine", ["torch", "fused"])
@pytest.mark.parametrize(("cls", "steps"), [(A2C, 9), (PPO, 13)])
def test_the_last_rollout_may_leave_a_single_step(cls: type[A2C], steps: int, engine: str) -> None:
    """Eight steps, then one; or, of PPO, five in minibatches of four."""
    settings: dict[str, Any] = {"num_envs": 1, "n_steps": 8, "normalize_advantage": True, "engine": engine}
    settings |= {"batch_size": 4, "n_epochs": 1} if cls is PPO else {}
    agent = cls("CartPole-v1", net_arch=(8,), **settings)
    before = parameters(agent)
    assert agent.learn(steps).loop.step == steps
    assert torch.isfinite(parameters(agent)).all()
    assert not torch.equal(parameters(agent), before)
