"""Diagnostics of an agent's networks and gradients, measured on transitions of its current policy."""

from collections.abc import Callable, Sequence
from operator import itemgetter

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Generator, Tensor, nn

from agents import A2C
from agents.events import Status
from agents.maths.schedules import value_at
from agents.rollout import NO_CONTEXT, Array, Choice, Context, Rollout, collect
from agents.training import ANY_INTERVAL, Hook, Training
from envs import make

UPDATES = 250  # between measurements
STEPS = 32  # of each environment, in a measurement's rollout
SATURATED = 0.99  # |tanh| of a saturated unit


class Episodes(Hook):
    """Keeps the step and the return of every training episode."""

    interval = ANY_INTERVAL

    def __init__(self) -> None:
        self.step: list[int] = []
        self.ret: list[float] = []

    def on_update(self, training: Training, status: Status) -> None:
        self.step += [episode.step for episode in status.episodes]
        self.ret += [episode.ret for episode in status.episodes]


class Diagnostics(Hook):
    """Measures the agent every UPDATES updates, and the policy shift in every update.

    Comes after the hook `episodes`. Its rollouts use their own environments and random numbers, so training is the same
    as without it. These environments continue between measurements, so their states are those that the policy visits.
    """

    interval = 10  # at 10 or below, the policy shift is measured in every update

    def __init__(self, agent: A2C, episodes: Episodes) -> None:
        self.agent, self.episodes, self.generator = agent, episodes, Generator().manual_seed(agent.seed)
        self.worlds = make("CartPole-v1", agent.worlds.num_envs, agent.seed + 10**6)
        self.obs, _ = self.worlds.reset()
        self.starts = torch.as_tensor(self.obs.copy())  # a batch of initial states
        self.record: list[dict[str, float]] = []
        self._shifts: list[float] = []

    def on_update(self, training: Training, status: Status) -> None:
        self._shifts += status.series["train/policy_shift_kl"].reshape(-1).tolist()
        if status.iteration % UPDATES == 0:
            shifts = {"shift_mean": float(np.nanmean(self._shifts)), "shift_max": float(np.nanmax(self._shifts))}
            self.record.append({"step": status.step, **shifts, **self.measure()})
            self._shifts = []

    def act(
        self, obs: Array, deterministic: bool = False, generator: Generator | None = None, context: Context = NO_CONTEXT
    ) -> Choice:
        """The agent's action, drawn with the diagnostics' generator."""
        return self.agent.act(obs, False, self.generator, context)

    def measure(self) -> dict[str, float]:
        """Numbers by name; leaves out those of transitions that do not occur in the rollout."""
        batch, self.obs, _ = collect(self.worlds, self, self.obs, STEPS, 0)
        numbers = self._values(batch) | self._gradients(batch)
        arrays = {name: np.asarray(x) for name, x in numbers.items()}
        return {name: float(x.mean()) for name, x in arrays.items() if x.size}

    @torch.no_grad()
    def _values(self, batch: Rollout) -> dict[str, ArrayLike]:
        agent, x = self.agent, self.agent.learner.encoded(batch.obs)
        delta, target = agent.estimate(_reshaped(batch, lambda x: x.flatten(0, 1)[None]))  # single steps
        v, end = target - delta, batch.terminated.reshape(1, -1)
        recent, start = np.array(self.episodes.ret[-20:]), agent.value(agent.learner.encoded(self.starts)).mean()
        discounted = (1 - agent.gamma**recent) / (1 - agent.gamma)  # of a reward of 1 per step
        return {
            "return": recent, "bias": float(start) - discounted,
            "delta": delta, "delta_std": delta.std(), "delta_inside": delta[~end], "delta_end": delta[end],
            "positive": (delta > 0).float(),
            "v": v, "v_std": v.std(), "v_end": v[end], "v_start": start,
            "entropy": agent.policy(x).entropy(),
            "saturated_policy": _saturated(agent.policy.net, x), "saturated_critic": _saturated(agent.value.net, x),
        }  # fmt: skip

    def _gradients(self, batch: Rollout) -> dict[str, ArrayLike]:
        """Norms before clipping, and the clip's factor, for updates on one step of every environment."""
        norms = [gradient_norms(self.agent, _reshaped(batch, itemgetter(slice(t, t + 1)))) for t in range(STEPS)]
        policy, critic = np.array(norms).T
        scale = np.minimum(value_at(self.agent.max_grad_norm, 0.0) / (np.hypot(policy, critic) + 1e-6), 1.0)
        ending = batch.terminated.any(1).numpy()
        return {
            "gradient_policy": policy, "gradient_policy_end": policy[ending],
            "gradient_critic": critic, "gradient_critic_end": critic[ending],
            "scale": scale, "scale_inside": scale[~ending], "scale_end": scale[ending],
        }  # fmt: skip


def _reshaped(batch: Rollout, change: Callable[[Tensor], Tensor]) -> Rollout:
    obs, action, reward, next_obs, terminated, truncated, behavior = map(change, batch[:7])
    return Rollout(obs, action, reward, next_obs, terminated, truncated, behavior)


def gradient_norms(agent: A2C, row: Rollout) -> Sequence[float]:
    """L2 norms of the gradients of π_θ and of V_φ before clipping."""
    parameters = [list(network.parameters()) for network in (agent.policy, agent.value)]
    gradients = iter(torch.autograd.grad(agent.objective(row).loss, [p for group in parameters for p in group]))
    return [float(torch.stack([next(gradients).square().sum() for _ in group]).sum().sqrt()) for group in parameters]


def _saturated(net: nn.Sequential, x: Tensor) -> Tensor:
    """1 where a unit of the last hidden layer is saturated, for all states; empty if the units are not tanh."""
    return (net[:-1](x).abs() > SATURATED).float() if isinstance(net[-2], nn.Tanh) else torch.empty(0)
