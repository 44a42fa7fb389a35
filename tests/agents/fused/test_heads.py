"""Kernels for every kind of action, compared with torch: updates on equal rollouts, complete and resumed runs."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents import A2C, ActorCritic, registry
from envs.spaces import factors
from rl.experiments.lockstep.precision import double_precision
from tests.agents.fused.updates import make_equal_updates, parameters
from tests.agents.test_resume import saved


class Noisy(gym.Env):
    """Random observations, rewards and ends; also random masks if `masked`."""

    observation_space = spaces.Dict(place=spaces.Box(-9, 9, (3,), np.float32), kind=spaces.Discrete(2))
    action_space: spaces.Space = spaces.MultiDiscrete([2, 3])
    masked = False

    def outcome(self):
        place = self.np_random.normal(size=3).clip(-9, 9).astype(np.float32)
        infos = {}
        if self.masked:
            mask = self.np_random.random(sum(factors(self.action_space))) < 0.5
            mask[np.cumsum([0, *factors(self.action_space)[:-1]])] = True
            infos = {"action_mask": mask}
        return {"place": place, "kind": int(self.np_random.integers(2))}, infos

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.outcome()

    def step(self, action):
        obs, infos = self.outcome()
        reward = self.np_random.normal() + float(np.sum(action))
        return obs, reward, bool(self.np_random.random() < 0.1), False, infos


class Factors(Noisy):
    pass


class MaskedFactors(Noisy):
    masked = True


class Masked(Noisy):
    action_space, masked = spaces.Discrete(4), True


class Bits(Noisy):
    action_space = spaces.MultiBinary(3)


class Reals(Noisy):
    action_space = spaces.Box(-1, 1, (2,))


class Bounded(Noisy):
    action_space = spaces.Box(np.array([-3, 1], np.float32), np.array([0.5, 2], np.float32))


HEADS = (Factors, MaskedFactors, Masked, Bits)
AGENTS: dict[str, dict[str, Any]] = {
    "a2c": {"num_envs": 3, "n_steps": 4, "ent_coef": 0.02, "max_policy_shift": 1e-6, "learning_rate": 1e-3},
    "ppo": {
        "num_envs": 3, "n_steps": 8, "batch_size": 10, "n_epochs": 2, "ent_coef": 0.02, "kl_coef": 0.5,
        "target_policy_shift": 1e-5,
    },
    "stream": {
        "num_envs": 1, "ent_coef": 0.02, "max_policy_shift": 1e-4, "step_rule": "intentional",
        "attainable_intent": True,
    },
}  # fmt: skip


def built(name: str, env: type[Noisy], engine: str, **settings: Any) -> ActorCritic:
    agent = registry.build(name, f"{__name__}:{env.__name__}", {"engine": engine, **AGENTS[name], **settings})
    assert isinstance(agent, ActorCritic)
    return agent


CASES = [(name, env, dict[str, Any]()) for name in AGENTS for env in HEADS]
CASES += [(name, Reals, {"state_dependent_std": True, "log_std_init": 1.999}) for name in ("a2c", "ppo")]
SHARED: dict[str, Any] = {"squash_output": True, "shared_layers": "all"}  # kernels of their own, so both at once
SQUASHED: dict[str, list[dict[str, Any]]] = {
    "stream": [{"squash_output": True, "log_std_init": log_std} for log_std in (-0.5, 1.0)],
    "a2c": [
        {**SHARED, "log_std_init": 1.0, "gae_lambda": 0.9},
        {**SHARED, "log_std_init": -0.5, "net_arch": (33,), "layer_norm": True, "critic_lr_scale": 3.0},
        {**SHARED, "state_dependent_std": True, "net_arch": (7, 20, 5), "activation": "relu"},
    ],
}
SQUASHED["ppo"] = SQUASHED["a2c"]


@pytest.mark.parametrize(("name", "env", "settings"), CASES)
def test_updates_are_those_of_torch(name: str, env: type[Noisy], settings: dict[str, Any]) -> None:
    """In double precision, only the order of sums differs."""
    with double_precision():
        makes_updates_of_torch(name, env, settings)


@pytest.mark.slow
@pytest.mark.parametrize("name", SQUASHED)
def test_squashed_and_shared_updates_are_those_of_torch(name: str) -> None:
    """In one test, because its kernels are compiled once."""
    with double_precision():
        for settings in SQUASHED[name]:
            makes_updates_of_torch(name, Bounded, settings)
        if name == "a2c":
            acts_as_torch()


def makes_updates_of_torch(name: str, env: type[Noisy], settings: dict[str, Any]) -> None:
    fused, reference = (built(name, env, engine, **settings) for engine in ("fused", "torch"))
    make_equal_updates(fused, reference, updates=10, tolerance=1e-9)


def acts_as_torch() -> None:
    """At σ = e² most actions lie at a bound, and every one counts as inside."""
    fused, reference = (built("a2c", Bounded, engine, **SHARED, log_std_init=2.0) for engine in ("fused", "torch"))
    obs, _ = reference.worlds.reset()
    for _ in range(20):
        ours, theirs = fused.act(obs).action, reference.act(obs).action
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
        assert Bounded.action_space.contains(ours[0].float().numpy())
    assert fused.learn(48).engine_in_use == "fused"


@pytest.mark.parametrize("env", HEADS)
def test_runs_are_those_of_torch(env: type[Noisy]) -> None:
    """Both engines use the same random numbers, and never take an illegal action."""
    with double_precision():
        fused, reference = (built("a2c", env, engine).learn(240) for engine in ("fused", "torch"))
        assert (fused.engine_in_use, reference.engine_in_use) == ("fused", "torch")
        assert float((parameters(fused) - parameters(reference)).abs().max()) <= 1e-7


@pytest.mark.parametrize("env", [MaskedFactors, Bits])
def test_a_resumed_run_is_the_undisturbed_one(env: type[Noisy], tmp_path: Path) -> None:
    """Byte for byte; the other engine can also resume from the same checkpoint."""
    whole = built("a2c", env, "fused").learn(240)
    built("a2c", env, "fused").learn(108).save(tmp_path / "part")
    resumed, other = A2C.load(tmp_path / "part"), A2C.load(tmp_path / "part", engine="torch")
    assert resumed.loop.exact
    assert torch.equal(parameters(resumed), parameters(other))
    assert saved(resumed.learn(132), tmp_path / "part") == saved(whole, tmp_path / "whole")
    other.learn(132)
    torch.testing.assert_close(parameters(other), parameters(whole), rtol=0, atol=1e-4)
