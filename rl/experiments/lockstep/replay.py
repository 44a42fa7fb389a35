"""Compares our update with Stable-Baselines3's, on the transitions that SB3 collected."""

from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import stable_baselines3 as sb3
import torch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from torch import Tensor

from agents.a2c import A2C
from agents.machine import torch_threads
from agents.minibatches import Shuffle
from agents.ppo import PPO
from agents.rollout import Array, Rollout
from agents.sb3.convert import from_sb3
from agents.sb3.model import Model, build
from agents.sb3.transfer import parameters
from agents.settings.a2c import A2CSettings
from rl.experiments.lockstep.precision import keep_double


class Difference(NamedTuple):
    """Our difference from SB3 in one update, or the largest over many updates.

    Absolute: parameters, optimizer state, and PPO's policy loss. Relative to the rollout's largest return: returns and
    advantages. Relative to SB3's: other losses and the gradient norm.
    """

    returns: float = 0.0
    advantages: float = 0.0
    policy_loss: float = 0.0
    value_loss: float = 0.0
    entropy: float = 0.0
    gradient_norm: float = 0.0
    parameters: float = 0.0
    optimizer: float = 0.0

    @property
    def estimates(self) -> float:
        """The larger of returns and advantages."""
        return max(self.returns, self.advantages)

    @property
    def losses(self) -> float:
        """The largest of the losses and the gradient norm."""
        return max(self.policy_loss, self.value_loss, self.entropy, self.gradient_norm)


class Transition(NamedTuple):
    """One step of N environments in SB3; the fields are those of `agents.rollout.Rollout`."""

    obs: Array
    action: Array  # as sampled
    reward: Array
    next_obs: Array
    terminated: Array
    truncated: Array


def transition(callback: BaseCallback) -> Transition:
    """SB3's latest step, as seen by a callback in `_on_step`."""
    model, seen = callback.model, callback.locals
    action = seen["actions"].astype(np.float32) if seen["actions"].dtype.kind == "f" else seen["actions"]
    next_obs, truncated = seen["new_obs"].copy(), np.zeros(model.n_envs, bool)
    for i in np.flatnonzero(seen["dones"]):
        next_obs[i] = seen["infos"][i]["terminal_observation"]
        truncated[i] = seen["infos"][i]["TimeLimit.truncated"]
    row = (model._last_obs, action, seen["rewards"], next_obs, seen["dones"] & ~truncated, truncated)
    return Transition(*(np.array(part, copy=True) for part in row))  # SB3 modifies its rewards in place


def stacked(rows: Sequence[Transition]) -> list[Tensor]:
    """The fields of the rows, each [T, N, …]."""
    return [torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True)]


class Replay(BaseCallback):
    """Repeats each of SB3's updates with our agent, on the transitions that SB3 collected.

    Uses observations, actions, rewards, true successors, terminations and truncations; nothing that SB3 computed.
    """

    model: Model

    def __init__(self, agent: A2C, total_timesteps: int) -> None:
        super().__init__()
        self.agent, self.total_timesteps = agent, total_timesteps
        self.worst, self.updates, self.truncations = Difference(), 0, 0
        self._rows: list[Transition] = []
        self._squares: list[Tensor] = []  # SB3's squared gradients before clipping, one entry per parameter

    def _on_training_start(self) -> None:
        def note(p: Tensor) -> None:
            assert p.grad is not None
            self._squares.append(p.grad.square().sum())

        for p in self.model.policy.parameters():
            p.register_post_accumulate_grad_hook(note)

    def _on_step(self) -> bool:
        self._rows.append(transition(self))
        return True

    def _on_rollout_end(self) -> None:
        buffer = self.model.rollout_buffer
        self._theirs = buffer.advantages.copy(), buffer.returns.copy()  # [T, N]; the update reorders them

    def _on_rollout_start(self) -> None:
        if self._rows:  # SB3 has learned from these
            self._repeat()

    def _on_training_end(self) -> None:
        self._repeat()

    def _repeat(self) -> None:
        obs, action, reward, next_obs, terminated, truncated = stacked(self._rows)
        with torch.no_grad():
            pi = self.agent.policy(obs.to(torch.get_default_dtype()))
            batch = Rollout(obs, action, reward, next_obs, terminated, truncated, behavior=pi.raw)
        advantage, target = self.agent.estimate(batch)
        metrics = self.agent.update(batch, self.num_timesteps / self.total_timesteps)
        difference = Difference(
            *self._estimates_apart(advantage, target),
            *self._losses_apart({name: float(x) for name, x in metrics.items()}),
            *self._parameters_apart(),
        )
        self.worst = Difference(*np.maximum(self.worst, difference).tolist())
        self.updates += 1
        self.truncations += int(truncated.sum())
        self._rows.clear()
        self._squares.clear()

    def _estimates_apart(self, advantage: Tensor, target: Tensor) -> tuple[float, float]:
        advantages, returns = self._theirs
        size = float(np.abs(returns).max())
        apart = [np.abs(ours.numpy() - theirs).max() for ours, theirs in ((target, returns), (advantage, advantages))]
        return float(apart[0]) / size, float(apart[1]) / size

    def _losses_apart(self, ours: dict[str, float]) -> tuple[float, float, float, float]:
        logged = self.logger.name_to_value
        count = len(list(self.model.policy.parameters()))
        norm = float(torch.stack(self._squares).reshape(-1, count).sum(1).sqrt().mean())
        if isinstance(self.model, sb3.PPO):  # with normalized advantages, terms of size 1 cancel
            policy_loss = abs(ours["train/policy_loss"] - logged["train/policy_gradient_loss"])
        else:
            policy_loss = _relative(ours["train/policy_loss"], logged["train/policy_loss"])
        return (
            policy_loss,
            _relative(ours["train/value_loss"], logged["train/value_loss"]),
            _relative(ours["train/entropy"], -logged["train/entropy_loss"]),
            _relative(ours["train/grad_norm"], norm),
        )

    def _parameters_apart(self) -> tuple[float, float]:
        pairs = parameters(self.agent.policy, self.agent.value, self.model.policy)
        ours, theirs = self.agent.learner.optimizer.inner.state, self.model.policy.optimizer.state
        remembered = [
            _apart(ours[own][name], value)
            for own, their in pairs
            for name, value in theirs[their].items()
            if name != "step"
        ]
        return max(_apart(own, their) for own, their in pairs), max(remembered)


def _relative(ours: float, theirs: float) -> float:
    return abs(ours - theirs) / abs(theirs)


def _apart(x: Tensor, y: Tensor) -> float:
    return float((x - y).detach().abs().max())


def lockstep(settings: A2CSettings, updates: int, agent_of: Callable[[Model], A2C] | None = None) -> Replay:
    """Trains SB3 for this many updates while our agent repeats them from the same weights.

    agent_of: builds the agent from the untrained model; by default `from_sb3`, with the engine in the settings.
    In `double_precision()`, both compute in float64.
    """
    model = build(settings)
    if torch.get_default_dtype() == torch.float64:
        keep_double(model)
    total = updates * model.n_envs * model.n_steps
    agent = agent_of(model) if agent_of else from_sb3(model, engine=settings.engine)
    if isinstance(agent, PPO):
        take_in_order(model.rollout_buffer, agent.shuffle)
    replay = Replay(agent, total)
    with torch_threads(settings.threads):
        model.learn(total, callback=replay, log_interval=10**9)
    return replay


def take_in_order(buffer: RolloutBuffer, shuffle: Shuffle) -> None:
    """Makes SB3 use our order of minibatches. Its buffer is ordered by environment."""
    own, get = Shuffle(0), buffer.get
    own.load_state_dict(shuffle.state_dict())

    def ordered(batch_size: int | None = None) -> Generator[RolloutBufferSamples, None, None]:
        steps, envs = buffer.buffer_size, buffer.n_envs
        parts = own.minibatches(steps * envs, batch_size or steps * envs)
        step, env = np.divmod(np.concatenate([np.arange(steps * envs)[columns] for columns in parts]), envs)
        with patch.object(np.random, "permutation", lambda _: env * steps + step):
            yield from get(batch_size)

    buffer.get = ordered  # type: ignore[method-assign]
