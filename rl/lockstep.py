"""`python -m rl.lockstep`: our update beside Stable-Baselines3's, a thousand in a row, in every combination.

SB3 trains; the transitions that it collects (observations, actions, rewards, true successors, terminations and
truncations, nothing that it computed from them) also go through our update, which began with SB3's initial weights.
After every update the two are compared, and never brought together again.
"""

from typing import NamedTuple, cast

import numpy as np
import stable_baselines3 as sb3
import torch
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from agents import A2C
from agents.sb3 import build, from_sb3
from agents.sb3.carry import parameters
from agents.settings import A2CSettings
from rl.rollout import Rollout
from rl.threads import torch_threads


class Difference(NamedTuple):
    """The largest differences over all updates.

    Parameters and what the optimizer remembers: absolute. The others are relative: returns and advantages to the
    largest return of the rollout, a loss to the mean size of the terms whose mean it is.
    """

    returns: float = 0.0
    advantages: float = 0.0
    policy_loss: float = 0.0
    value_loss: float = 0.0
    entropy: float = 0.0
    gradient_norm: float = 0.0
    parameters: float = 0.0
    optimizer: float = 0.0


class Replay(BaseCallback):
    """Repeats each of SB3's updates with our agent, on the transitions that SB3 collected."""

    def __init__(self, agent: A2C, total_timesteps: int) -> None:
        super().__init__()
        self.agent, self.total_timesteps = agent, total_timesteps
        self.worst, self.updates, self.truncations = Difference(), 0, 0
        self._rows: list[tuple[NDArray[np.generic], ...]] = []
        self._squares: list[Tensor] = []  # of SB3's gradients, before they are clipped

    def _on_training_start(self) -> None:
        for p in self.model.policy.parameters():
            p.register_post_accumulate_grad_hook(lambda p: self._squares.append(cast(Tensor, p.grad).square().sum()))

    def _on_step(self) -> bool:
        seen = self.locals
        next_obs, truncated = seen["new_obs"].copy(), np.zeros(self.model.n_envs, bool)
        for i in np.flatnonzero(seen["dones"]):
            next_obs[i] = seen["infos"][i]["terminal_observation"]
            truncated[i] = seen["infos"][i]["TimeLimit.truncated"]
        terminated = seen["dones"] & ~truncated
        row = (self.model._last_obs, seen["actions"].astype(np.float32) if seen["actions"].dtype.kind=="f" else seen["actions"], seen["rewards"], next_obs, terminated, truncated)
        self._rows.append(tuple(np.array(part, copy=True) for part in row))  # SB3 adds to its rewards in place
        return True

    def _on_rollout_end(self) -> None:
        buffer = cast(sb3.A2C, self.model).rollout_buffer
        self._estimate = buffer.advantages.copy(), buffer.returns.copy()  # [T, N]

    def _on_rollout_start(self) -> None:
        if self._rows:  # SB3 has made its update on them
            self._repeat()

    def _on_training_end(self) -> None:
        self._repeat()

    def _repeat(self) -> None:
        obs, action, *rest = (torch.from_numpy(np.stack(column)) for column in zip(*self._rows, strict=True))
        with torch.no_grad():
            pi = self.agent.policy(obs.to(torch.get_default_dtype()))
            batch = Rollout(obs, action, *rest, behavior=pi.raw)
            terms = self.agent.estimate(batch)[0] * pi.log_prob(action)
        difference = self._compare(batch, float(terms.abs().mean()))
        self.worst = Difference(*np.maximum(self.worst, difference).tolist())
        self.updates += 1
        self.truncations += int(batch.truncated.sum())
        self._rows.clear()
        self._squares.clear()

    def _compare(self, batch: Rollout, policy_terms: float) -> Difference:
        """Makes our update, and compares all of it with SB3's."""
        advantage, target = self.agent.estimate(batch)
        metrics = self.agent.update(batch, self.num_timesteps / self.total_timesteps)
        model, logged = cast(sb3.A2C, self.model), self.logger.name_to_value
        theirs_advantage, returns = self._estimate
        size = float(np.abs(returns).max())
        norm = float(torch.stack(self._squares).sum().sqrt())
        entropy, value_loss = -logged["train/entropy_loss"], logged["train/value_loss"]
        pairs = parameters(self.agent, model.policy)
        ours_of, theirs_of = self.agent.descent.optimizer.state, model.policy.optimizer.state
        return Difference(
            returns=float(np.abs(target.numpy() - returns).max()) / size,
            advantages=float(np.abs(advantage.numpy() - theirs_advantage).max()) / size,
            policy_loss=abs(float(metrics["train/policy_loss"]) - logged["train/policy_loss"]) / policy_terms,
            value_loss=abs(float(metrics["train/value_loss"]) - value_loss) / value_loss,
            entropy=abs(float(metrics["train/entropy"]) - entropy) / max(abs(entropy), 1.0),
            gradient_norm=abs(float(metrics["train/grad_norm"]) - norm) / norm,
            parameters=max(_apart(own, their) for own, their in pairs),
            optimizer=max(
                _apart(ours_of[own][name], value)
                for own, their in pairs
                for name, value in theirs_of[their].items()
                if name != "step"
            ),
        )


def _apart(x: Tensor, y: Tensor) -> float:
    return float((x - y).detach().abs().max())


def lockstep(env_id: str, updates: int = 1_000, num_envs: int = 4, seed: int = 0, **settings: object) -> Replay:
    model = build(A2CSettings(env_id, num_envs=num_envs, seed=seed, **settings))
    agent = from_sb3(model)
    total = updates * num_envs * model.n_steps
    replay = Replay(agent, total)
    with torch_threads(1):
        model.learn(total, callback=replay, log_interval=10**9)
    return replay

from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.vec_env import VecEnvWrapper


class Buf64(RolloutBuffer):
    def reset(self):
        super().reset()
        for n in ("values", "rewards", "returns", "advantages", "log_probs", "episode_starts"):
            setattr(self, n, getattr(self, n).astype(np.float64))


class Env64(VecEnvWrapper):
    def reset(self):
        return self.venv.reset()

    def step_wait(self):
        o, r, d, i = self.venv.step_wait()
        return o, r.astype(np.float64), d, i


def lockstep64(env_id: str, updates: int = 1_000, num_envs: int = 4, seed: int = 0, **settings: object) -> Replay:
    torch.set_default_dtype(torch.float64)
    try:
        model = build(A2CSettings(env_id, num_envs=num_envs, seed=seed, **settings))
        model.env = Env64(model.env)
        b = model.rollout_buffer
        model.rollout_buffer = Buf64(b.buffer_size, b.observation_space, b.action_space, b.device, b.gae_lambda, b.gamma, b.n_envs)
        model.policy.features_extractor.register_forward_hook(lambda m, i, out: out.double())
        agent = from_sb3(model)
        total = updates * num_envs * model.n_steps
        replay = Replay(agent, total)
        with torch_threads(1):
            model.learn(total, callback=replay, log_interval=10**9)
        return replay
    finally:
        torch.set_default_dtype(torch.float32)
