"""Learning from recorded transitions: epochs of minibatches, held-out episodes, early stopping."""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from agents.a2c import A2C
from agents.demonstrations import Demonstrations, load
from agents.loop import ANY_INTERVAL, Hook, Loop, Status
from agents.maths.distributions import Distribution
from agents.networks.actor_critic import encode
from agents.optimizer import Shift
from agents.rollout import Array, ChunkPlan, ChunkResult, Metrics
from agents.settings.values import ConfigError
from envs import Worlds
from envs.streams import stream_generator

_AT_ONCE = 1024  # transitions: images of all that is held out would not fit into memory


class Transitions(NamedTuple):
    """Some recorded transitions."""

    obs: Tensor  # [B, …], as the environment gave it
    action: Tensor  # [B] or [B, A], as `Rollout.action`
    legal: Tensor | None  # bool[B, A], the actions allowed

    def take(self, index: Tensor) -> "Transitions":
        return Transitions(self.obs[index], self.action[index], None if self.legal is None else self.legal[index])

    def policy(self, agent: A2C) -> Distribution:
        """π_θ at these observations."""
        pi: Distribution = agent.policy(agent.learner.encoded(self.obs), None, self.legal)
        return pi


def recorded(agent: A2C, path: str, episodes: int | None = None) -> Demonstrations:
    """Demonstrations for an agent: of its spaces, and of its environment unless that is an object, without an id.

    episodes: the first so many; None takes all. Raises ConfigError if no file is named, and as
    `agents.demonstrations.load` does.
    """
    if not path:
        raise ConfigError("name the file to learn from, demonstrations=FILE; python -m rl.demos RUN makes one")
    worlds = agent.worlds
    spaces = {"obs_space": agent.obs_space, "action_space": worlds.policy_action_space}
    given = load(path, env_id=worlds.env_id if isinstance(agent.env, str) else None, **spaces)
    return given if episodes is None else given.take(episodes)


def check_fraction(validation_fraction: float) -> None:
    """Raises ConfigError unless some episodes are held out, and some are not."""
    if not 0 < validation_fraction < 1:
        raise ConfigError(f"validation_fraction must lie between 0 and 1, got {validation_fraction}")


def fingerprint(of: Demonstrations) -> int:
    """By which a checkpoint knows the transitions that it was trained on."""
    obs, action = (np.ascontiguousarray(x).data for x in (of.obs, of.action))
    return zlib.crc32(action, zlib.crc32(obs))


def check_fingerprint(saved: object, now: int) -> None:
    """Raises ConfigError if they differ."""
    if saved != now:
        raise ConfigError("the demonstrations are not those that the checkpoint was trained on; restore the file")


class Student(Protocol):
    """What learns from transitions."""

    agent: A2C
    loop: Loop

    def learn_from(self, batch: Transitions, progress: float) -> Metrics: ...
    def held_out_loss(self, batch: Transitions) -> Tensor: ...


def transitions(of: Demonstrations) -> Transitions:
    legal = None if of.legal is None else torch.from_numpy(of.legal)
    return Transitions(torch.from_numpy(of.obs), torch.from_numpy(of.action), legal)


class Epochs:
    """Minibatches of transitions in random order, epoch after epoch; what `A2C.chunk` is to training in worlds.

    After each epoch the loss on held-out episodes is measured; `finished` once it has not improved for `patience`
    epochs.
    """

    def __init__(
        self, student: Student, given: Demonstrations, batch_size: int, fraction: float, patience: int
    ) -> None:
        """fraction: of the episodes, to hold out; 0 holds out none, and nothing ends early.

        Gives the agent's observation normalizer the statistics of what is left. Raises ConfigError where a setting is
        out of range or the batch larger than that.
        """
        agent = student.agent
        steps_of(batch_size, agent.worlds.num_envs)
        if patience < 1:
            raise ConfigError(f"patience must be at least 1 epoch, got {patience}")
        if fraction:
            check_fraction(fraction)
        train, held_out = given.split(fraction, agent.seed) if fraction else (given, None)
        self.student, self.patience = student, patience
        self.train = transitions(train)
        self.held_out = None if held_out is None else transitions(held_out)
        if batch_size > len(self.train.obs):
            raise ConfigError(f"batch_size is {batch_size}, there are {len(self.train.obs)} transitions to learn from")
        self._generator = stream_generator(agent.seed, "batches")
        if agent.learner.obs_norm:
            agent.learner.obs_norm.update(encode(agent.obs_space, self.train.obs)[None])  # as one step of so many
        self._order, self._position = torch.zeros(0, dtype=torch.int64), 0
        self._best: dict[str, Tensor] = {}
        self._latest: dict[str, Tensor] = {}  # where learning goes on, while the policy is the best
        self._fingerprint = fingerprint(given)
        self.epoch, self.stale, self.loss, self.lowest = 0, 0, math.nan, math.inf

    @property
    def finished(self) -> bool:
        return self.held_out is not None and self.stale >= self.patience

    def chunk(self, worlds: Worlds, plan: ChunkPlan, obs: Array) -> ChunkResult:
        """Some updates on the next minibatches, of as many transitions as a rollout would have; worlds stay."""
        size, rows, failure = plan.n_steps * worlds.num_envs, list[Metrics](), None
        while len(rows) < plan.updates and not self.finished:
            try:
                rows.append(self._step(size, (plan.step + len(rows) * size) / plan.until))
            except (Exception, KeyboardInterrupt) as error:  # the updates before it count
                failure = error
                break
        metrics = {name: torch.stack([row[name] for row in rows]) for name in rows[0]} if rows else {}
        return ChunkResult(len(rows), metrics, (), obs, failure)

    def _step(self, size: int, progress: float) -> Metrics:
        metrics = self.student.learn_from(self.train.take(self._next(size)), progress)
        if self._position + size > len(self._order):
            self._end_epoch()
        return {**metrics, "validation/loss": torch.tensor(self.loss), "train/epoch": torch.tensor(self.epoch)}

    def _next(self, size: int) -> Tensor:
        if self._position + size > len(self._order):
            self._order = torch.randperm(len(self.train.obs), generator=self._generator)
            self._position = 0
        self._position += size
        return self._order[self._position - size : self._position]

    def _end_epoch(self) -> None:
        self.epoch += 1
        if self.held_out is None:
            return
        parts = torch.split(torch.arange(len(self.held_out.obs)), _AT_ONCE)
        with torch.no_grad():
            losses = [len(part) * float(self.student.held_out_loss(self.held_out.take(part))) for part in parts]
        self.loss = sum(losses) / len(self.held_out.obs)
        self.stale += 1
        if self.loss < self.lowest:
            self.lowest, self.stale = self.loss, 0
            self._best = self._copy()

    def _copy(self) -> dict[str, Tensor]:
        return {key: x.clone() for key, x in self.student.agent.policy.state_dict().items()}

    def run(self, learn: Callable[[int, Sequence[Hook]], object], total: int, hooks: Sequence[Hook]) -> None:
        """Learns from so many further transitions at most; at the end the policy is the best of all epochs.

        learn: `Method.learn`. It goes on from the latest policy, not from the best; a hook that ends training leaves
        the latest.
        """
        loop, policy = self.student.loop, self.student.agent.policy
        until = loop.step + total
        if self._latest:
            policy.load_state_dict(self._latest)
            self._latest = {}
        if not self.finished:
            learn(total, [*hooks, Until(lambda: self.finished)])
        if self._best and (self.finished or loop.step + loop.worlds.num_envs > until):
            self._latest = self._copy()
            policy.load_state_dict(self._best)

    def describe(self) -> str:
        held = f"{len(self.held_out.obs):,} held out" if self.held_out is not None else "none held out"
        return f"{len(self.train.obs):,} recorded transitions, {held}"

    def state_dict(self) -> dict[str, object]:
        return {
            "generator": self._generator.get_state(),
            "order": self._order,
            "position": self._position,
            "best": self._best,
            "latest": self._latest,
            "epochs": [self.epoch, self.stale, self.loss, self.lowest],
            "demonstrations": self._fingerprint,
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        check_fingerprint(state["demonstrations"], self._fingerprint)
        self._generator.set_state(cast(Tensor, state["generator"]))
        self._order, self._position = cast(Tensor, state["order"]), cast(int, state["position"])
        self._best, self._latest = (cast("dict[str, Tensor]", state[key]) for key in ("best", "latest"))
        self.epoch, self.stale, self.loss, self.lowest = cast("tuple[int, int, float, float]", state["epochs"])


class Until:
    """A hook that ends training once `finished` says so."""

    interval = ANY_INTERVAL

    def __init__(self, finished: Callable[[], bool]) -> None:
        self._finished = finished

    def __call__(self, status: Status) -> bool:
        return not self._finished()


def fit(agent: A2C, batch: Transitions, pi: Distribution, loss: Tensor, progress: float) -> Metrics:
    """One gradient step on a loss − ent_coef · mean H(π). pi: π_θ at the observations, which the loss comes from."""
    entropy = pi.entropy().mean()
    total = loss - agent.learner.optimizer.entropy_coefficient(progress) * entropy
    shift = Shift(agent.policy, pi.raw.detach(), lambda: batch.policy(agent))
    metrics = agent.learner.optimizer.step(total, progress, shift) | shift.js()
    agent.learner.optimizer.adapt_entropy_coefficient(entropy.detach(), progress)
    return metrics | {"train/loss": loss.detach(), "train/entropy": entropy.detach()}


def steps_of(batch_size: int, num_envs: int) -> int:
    """n_steps, so that an update counts `batch_size` transitions. Raises ConfigError unless num_envs divides it."""
    if batch_size < 1 or batch_size % num_envs:
        raise ConfigError(f"batch_size must be a multiple of num_envs {num_envs}, got {batch_size}")
    return batch_size // num_envs
