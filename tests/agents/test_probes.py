"""Probes: worlds with known answers, and the mutations that each probe must detect."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.wrappers import TransformObservation

import agents.a2c
import agents.base_learner
import agents.maths.returns
import envs.worlds
from agents import A2C
from agents.evaluation import evaluate, evaluate_uniform
from agents.maths.distributions import Categorical, DiagonalGaussian
from agents.maths.schedules import Linear
from agents.networks.actor_critic import Policy, encode
from agents.settings.actor_critic import Engine
from envs.backends.sync import SyncBackend
from envs.observations import FlatObservation
from envs.worlds import Worlds

GAMMA = 0.9
SETTLED = 1 / (1 - GAMMA)

# probe → (observations, their values or None, actions that must be nearly certain, or the mean to reach)
ANSWERS: dict[str, tuple[list[float], list[float] | None, list[float] | None]] = {
    "ConstantReward": ([0], [1], None),
    "ObservedReward": ([-1, 1], [-1, 1], None),
    "DelayedReward": ([0, 1], [GAMMA, 1], None),
    "ActionReward": ([0], [1], [1]),
    "ContextAction": ([-1, 1], [1, 1], [0, 1]),
    "ShiftedAction": ([0], [1], [0]),
    "ContinuousTarget": ([0], None, [0.5]),
    "TimeLimit": ([0, 1], [GAMMA * SETTLED, SETTLED], None),
}


def check(name: str, engine: Engine = "torch", **settings: float) -> None:
    """Trains on a probe with a learning rate that decays to 0, and compares the result with the known answer."""
    rate = Linear(5e-3, 0.0)  # a constant rate never settles: when errors vanish, RMSprop amplifies the rest
    agent = A2C(  # type: ignore[arg-type]
        f"envs.probes:{name}-v0", engine=engine, gamma=GAMMA, net_arch=(16,), learning_rate=rate, num_envs=8, **settings
    )
    agent.learn(8_000)
    observations, values, actions = ANSWERS[name]
    x = torch.tensor(observations)[:, None].float()
    with torch.no_grad():
        v, pi = agent.value(x), agent.policy(x)
    if values is not None:
        assert v.tolist() == pytest.approx(values, abs=0.06)
    if actions is not None and isinstance(pi, Categorical):
        assert pi.log_prob(torch.tensor(actions)).exp().min() > 0.95
    elif actions is not None:
        assert pi.mode().squeeze(-1).tolist() == pytest.approx(actions, abs=0.1)


@pytest.mark.parametrize("engine", ["torch", "fused"])
@pytest.mark.parametrize("name", ANSWERS)
def test_probe(name: str, engine: Engine) -> None:
    check(name, engine)


def blind_network(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(agents.base_learner, "encode", lambda space, obs: torch.zeros_like(encode(space, obs)))


def blind_policy(patch: pytest.MonkeyPatch) -> None:
    raw = Policy.raw
    patch.setattr(Policy, "raw", lambda self, features, legal=None: raw(self, torch.zeros_like(features), legal))


def no_discount(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(agents.a2c, "td_error", lambda v, r, d, w: agents.maths.returns.td_error(v, r, (d > 0).float(), w))


def termination_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        agents.a2c, "td_error", lambda v, r, d, w: agents.maths.returns.td_error(v, r, torch.full_like(d, GAMMA), w)
    )


def reversed_policy_gradient(patch: pytest.MonkeyPatch) -> None:
    for family in (Categorical, DiagonalGaussian):
        log_prob = family.log_prob
        patch.setattr(family, "log_prob", lambda self, action, log_prob=log_prob: -log_prob(self, action))


def wrong_action_credited(patch: pytest.MonkeyPatch) -> None:
    log_prob = Categorical.log_prob
    patch.setattr(Categorical, "log_prob", lambda self, action: log_prob(self, torch.zeros_like(action)))


def raw_actions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(envs.worlds, "to_env_action", lambda space, action: action)


def truncation_terminates(patch: pytest.MonkeyPatch) -> None:
    step = Worlds.step

    def mutated(self: Worlds, actions: object) -> object:
        obs, reward, terminated, truncated, infos = step(self, actions)  # type: ignore[arg-type]
        return obs, reward, terminated | truncated, truncated, infos

    patch.setattr(Worlds, "step", mutated)


def bootstrap_from_reset(patch: pytest.MonkeyPatch) -> None:
    step = Worlds.step

    def mutated(self: Worlds, actions: object) -> object:
        obs, reward, terminated, truncated, infos = step(self, actions)  # type: ignore[arg-type]
        return obs, reward, terminated, truncated, infos | {"next_obs": obs}

    patch.setattr(Worlds, "step", mutated)


def last_observation_not_copied(patch: pytest.MonkeyPatch) -> None:
    step = SyncBackend.step

    def mutated(self: SyncBackend, actions: object) -> object:
        obs, reward, terminated, truncated, infos = step(self, actions)  # type: ignore[arg-type]
        return obs, reward, terminated, truncated, infos | {"next_obs": obs}

    patch.setattr(SyncBackend, "step", mutated)


def critic_not_trained(patch: pytest.MonkeyPatch) -> None:
    """Implemented by vf_coef = 0."""


MUTATIONS = [
    ("ConstantReward", critic_not_trained),
    ("ConstantReward", termination_ignored),
    ("ObservedReward", blind_network),
    ("DelayedReward", no_discount),
    ("DelayedReward", termination_ignored),
    ("ActionReward", reversed_policy_gradient),
    ("ActionReward", wrong_action_credited),
    ("ContextAction", blind_policy),
    ("ShiftedAction", raw_actions),
    ("ContinuousTarget", reversed_policy_gradient),
    ("ContinuousTarget", raw_actions),
    ("TimeLimit", truncation_terminates),
    ("TimeLimit", bootstrap_from_reset),
    ("TimeLimit", last_observation_not_copied),
]


@pytest.mark.parametrize(("name", "mutation"), MUTATIONS, ids=lambda part: getattr(part, "__name__", part))
def test_probe_catches(name: str, mutation: object, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation(monkeypatch)  # type: ignore[operator]
    settings = {"vf_coef": 0.0} if mutation is critic_not_trained else {}
    with pytest.raises((AssertionError, envs.EnvironmentFailure)):
        check(name, **settings)


def check_grid_world(engine: Engine = "fused") -> None:
    agent = A2C("envs.probes:GridWorld-v0", engine=engine, gamma=GAMMA, net_arch=(32,), learning_rate=5e-3)
    assert evaluate(agent.learn(16_000), "envs.probes:GridWorld-v0", deterministic=False).mean > 0.95


@pytest.mark.parametrize("engine", ["torch", "fused"])
def test_grid_world(engine: Engine) -> None:
    random = evaluate_uniform("envs.probes:GridWorld-v0", 1_000)
    assert random is not None
    assert random.mean == pytest.approx(0.23, abs=0.04)
    assert random.lengths.max() == 10
    check_grid_world(engine)


def test_grid_world_catches_a_part_that_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def flatten(env: gym.Env[object, object]) -> gym.Env[object, object]:
        return TransformObservation(FlatObservation(env), lambda row: row * np.array([1, 1, 0, 0]), None)

    monkeypatch.setattr("envs.backends.guard.FlatObservation", flatten)
    with pytest.raises(AssertionError):
        check_grid_world()


def test_tic_tac_toe() -> None:
    """In random games, the first player wins 58.5 % and loses 28.8 % (by enumeration)."""
    random = evaluate_uniform("envs.probes:TicTacToe-v0", 2_000)
    assert random is not None
    assert random.mean == pytest.approx(0.585 - 0.288, abs=0.06)
    assert set(random.returns) == {-1.0, 0.0, 1.0}
    env = gym.make("envs.probes:TicTacToe-v0")
    env.reset(seed=0)
    _, _, _, _, infos = env.step(np.int64(4))
    assert infos["action_mask"].sum() == 7
    with pytest.raises(ValueError, match="square 4 is taken"):
        env.step(np.int64(4))
