"""Our update beside Stable-Baselines3's, on the transitions that it collected, from its own initial weights."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from agents import A2C
from rl.rollout import Rollout

sb3 = pytest.importorskip("stable_baselines3")
from stable_baselines3.common.callbacks import BaseCallback  # noqa: E402
from stable_baselines3.common.vec_env import DummyVecEnv  # noqa: E402

NUM_ENVS = 4


def layers(model: object) -> list[nn.Linear]:
    policy = model.policy  # type: ignore[attr-defined]
    extractor = policy.mlp_extractor
    return [*extractor.policy_net[::2], policy.action_net, *extractor.value_net[::2], policy.value_net]


def own_layers(agent: A2C) -> list[nn.Linear]:
    return [layer for net in (agent.policy.net, agent.value.net) for layer in net if isinstance(layer, nn.Linear)]


class Replay(BaseCallback):
    """Records SB3's transitions (not its returns) and repeats its updates; keeps the largest difference."""

    def __init__(self, agent: A2C) -> None:
        super().__init__()
        self.agent, self.worst = agent, 0.0
        self.rows: list[tuple[NDArray[np.generic], ...]] = []
        self.batch: Rollout | None = None

    def _on_step(self) -> bool:
        seen = self.locals
        next_obs, truncated = seen["new_obs"].copy(), np.zeros(NUM_ENVS, bool)
        for i in np.flatnonzero(seen["dones"]):
            next_obs[i] = seen["infos"][i]["terminal_observation"]
            truncated[i] = seen["infos"][i]["TimeLimit.truncated"]
        terminated = seen["dones"] & ~truncated
        row = (self.model._last_obs, seen["actions"], seen["rewards"], next_obs, terminated, truncated)
        self.rows.append(tuple(np.array(part, copy=True) for part in row))
        return True

    def _on_rollout_end(self) -> None:
        obs, action, *rest = (torch.from_numpy(np.stack(column)) for column in zip(*self.rows, strict=True))
        self.rows.clear()
        with torch.no_grad():
            behavior = self.agent.policy(obs).raw
        self.batch = Rollout(obs, action, *rest, behavior)

    def _on_rollout_start(self) -> None:
        if self.batch is not None:
            self.agent.update(self.batch)
            pairs = zip(layers(self.model), own_layers(self.agent), strict=True)
            difference = max(float((theirs.weight - ours.weight).detach().abs().max()) for theirs, ours in pairs)
            self.worst = max(self.worst, difference)


@pytest.mark.parametrize(
    ("env_id", "updates", "settings"),
    [
        ("CartPole-v1", 200, {"n_steps": 1}),
        ("CartPole-v1", 200, {"n_steps": 5, "gae_lambda": 0.95, "ent_coef": 0.01, "normalize_advantage": True}),
        ("Pendulum-v1", 60, {"n_steps": 5}),  # past the first truncations, at update 40; rounding grows from there
    ],
)
def test_parameters_stay_with_sb3(env_id: str, updates: int, settings: dict[str, float]) -> None:
    agent = A2C(env_id, num_envs=NUM_ENVS, **settings)  # type: ignore[arg-type]
    vec_env = DummyVecEnv([lambda: gym.make(env_id)] * NUM_ENVS)
    model = sb3.A2C("MlpPolicy", vec_env, seed=0, device="cpu", **settings)
    for theirs, ours in zip(layers(model), own_layers(agent), strict=True):
        ours.load_state_dict(theirs.state_dict())
    replay = Replay(agent)
    model.learn(updates * NUM_ENVS * int(settings["n_steps"]), callback=replay)
    assert 0 < replay.worst < 1e-5
