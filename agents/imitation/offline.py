"""Learning from recorded transitions: epochs of minibatches, validation, early stopping."""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from agents.a2c import A2C
from agents.demonstrations import Demonstrations, load
from agents.devices import moved
from agents.events import Status
from agents.imitation.examples import Examples
from agents.loop import Loop
from agents.networks.actor_critic import encode
from agents.parts import tensors_like
from agents.rollout import Array, ChunkPlan, ChunkResult, Metrics
from agents.settings.values import ConfigError
from agents.training import ANY_INTERVAL, AnyHook, Hook, Training
from envs import Worlds, saved
from envs.streams import stream_generator

RunLoop = Callable[[int, Sequence[AnyHook], int], None]
_VALIDATION_BATCH_SIZE = 1024  # transitions; bounds memory use


def _examples(demonstrations: Demonstrations) -> Examples:
    legal = None if demonstrations.legal is None else torch.from_numpy(demonstrations.legal)
    return Examples(torch.from_numpy(demonstrations.obs), torch.from_numpy(demonstrations.action), legal)


def load_demonstrations(agent: A2C, path: str, episodes: int | None = None) -> Demonstrations:
    """Demonstrations for an agent: they must fit its spaces and, if its environment has an id, be of that environment.

    episodes: load only the first ones. Raises ConfigError if path is empty, and what `agents.demonstrations.load`
    raises.
    """
    if not path:
        raise ConfigError("name the file to learn from, demonstrations=FILE; python -m rl.demos RUN makes one")
    worlds = agent.worlds
    spaces = {"obs_space": agent.obs_space, "action_space": worlds.policy_action_space}
    demonstrations = load(path, env_id=worlds.env_id if isinstance(agent.env, str) else None, **spaces)
    return demonstrations if episodes is None else demonstrations.take(episodes)


def check_validation_fraction(fraction: float) -> None:
    """Raises ConfigError unless 0 < fraction < 1."""
    if not 0 < fraction < 1:
        raise ConfigError(f"validation_fraction must lie between 0 and 1, got {fraction}")


def fingerprint(demonstrations: Demonstrations) -> int:
    """CRC-32 of observations and actions, by which a checkpoint recognizes its training data."""
    obs, action = (np.ascontiguousarray(x).data for x in (demonstrations.obs, demonstrations.action))
    return zlib.crc32(action, zlib.crc32(obs))


def check_fingerprint(saved: object, current: int) -> None:
    """Raises ConfigError if they differ."""
    if saved != current:
        raise ConfigError("the demonstrations are not those that the checkpoint was trained on; restore the file")


class OfflineLearner(Protocol):
    """An algorithm that learns from examples."""

    agent: A2C
    loop: Loop

    def learn_from(self, batch: Examples, progress: float) -> Metrics: ...
    def held_out_loss(self, batch: Examples) -> Tensor: ...


class Epochs:
    """Trains on minibatches in random order, epoch after epoch. Its `chunk` replaces stepping environments.

    Early stopping: the loss on held-out episodes is measured after each epoch; training has `finished` once it has not
    improved for `patience` epochs.
    """

    def __init__(
        self, algorithm: OfflineLearner, demonstrations: Demonstrations, batch_size: int, fraction: float, patience: int
    ) -> None:
        """fraction: share of the episodes to hold out; 0 disables early stopping.

        Updates the agent's observation normalizer with the training observations. Raises ConfigError if a setting is
        out of range or batch_size exceeds the number of training transitions.
        """
        agent = algorithm.agent
        n_steps_for(batch_size, agent.worlds.num_envs)
        if fraction:
            check_validation_fraction(fraction)
        train, held_out = demonstrations.split(fraction, agent.seed) if fraction else (demonstrations, None)
        self.algorithm, self.patience = algorithm, patience
        self.train = _examples(train)
        self.held_out = None if held_out is None else _examples(held_out)
        if batch_size > len(self.train.obs):
            raise ConfigError(f"batch_size is {batch_size}, there are {len(self.train.obs)} transitions to learn from")
        self._generator, self._device = stream_generator(agent.seed, "batches"), agent.learner.device
        if agent.learner.obs_norm:
            agent.learner.obs_norm.update(encode(agent.obs_space, moved(self.train.obs, self._device))[None])
        self._order, self._position = torch.zeros(0, dtype=torch.int64), 0
        self._best_policy: dict[str, Tensor] = {}
        self._latest_policy: dict[str, Tensor] = {}  # training resumes from it while the agent has the best policy
        self._fingerprint = fingerprint(demonstrations)
        self.epoch, self.epochs_since_best, self.loss, self.best_loss = 0, 0, math.nan, math.inf

    @property
    def finished(self) -> bool:
        return self.held_out is not None and self.epochs_since_best >= self.patience

    def chunk(self, worlds: Worlds, plan: ChunkPlan, obs: Array) -> ChunkResult:
        """Updates on the next minibatches, each as large as a rollout; does not step the worlds."""
        size, rows, failure = plan.n_steps * worlds.num_envs, list[Metrics](), None
        while len(rows) < plan.updates and not self.finished:
            try:
                rows.append(self._step(size, (plan.step + len(rows) * size) / plan.until))
            except (Exception, KeyboardInterrupt) as error:  # completed updates are kept
                failure = error
                break
        metrics = {name: torch.stack([row[name] for row in rows]) for name in rows[0]} if rows else {}
        return ChunkResult(len(rows), metrics, (), obs, failure)

    def _step(self, size: int, progress: float) -> Metrics:
        metrics = self.algorithm.learn_from(self.train.take(self._next_batch(size), self._device), progress)
        if self._position + size > len(self._order):
            self._end_epoch()
        return {**metrics, "validation/loss": torch.tensor(self.loss), "train/epoch": torch.tensor(self.epoch)}

    def _next_batch(self, size: int) -> Tensor:
        """The indices of a minibatch, int64[size]."""
        if self._position + size > len(self._order):
            self._order = torch.randperm(len(self.train.obs), generator=self._generator)
            self._position = 0
        self._position += size
        return self._order[self._position - size : self._position]

    def _end_epoch(self) -> None:
        self.epoch += 1
        if self.held_out is None:
            return
        parts = torch.split(torch.arange(len(self.held_out.obs)), _VALIDATION_BATCH_SIZE)
        with torch.no_grad():
            losses = [
                len(part) * float(self.algorithm.held_out_loss(self.held_out.take(part, self._device)))
                for part in parts
            ]
        self.loss = sum(losses) / len(self.held_out.obs)
        self.epochs_since_best += 1
        if self.loss < self.best_loss:
            self.best_loss, self.epochs_since_best = self.loss, 0
            self._best_policy = self._copy_policy()

    def _copy_policy(self) -> dict[str, Tensor]:
        return {key: x.clone() for key, x in self.algorithm.agent.policy.state_dict().items()}

    def run(self, run_loop: RunLoop, until: int, hooks: Sequence[AnyHook], log_interval: int) -> None:
        """Trains until `until` transitions; ends with the best epoch's policy.

        run_loop: `Agent.run_loop`. Training resumes from the latest policy, not from the best. If a hook ends training,
        the agent keeps the latest policy.
        """
        loop, policy = self.algorithm.loop, self.algorithm.agent.policy
        if self._latest_policy:
            policy.load_state_dict(self._latest_policy)
            self._latest_policy = {}
        if not self.finished:
            run_loop(until, [*hooks, EarlyStopping(self)], log_interval)
        if self._best_policy and (self.finished or loop.step + loop.worlds.num_envs > until):
            self._latest_policy = self._copy_policy()
            policy.load_state_dict(self._best_policy)

    def describe(self) -> str:
        held_out = "none" if self.held_out is None else f"{len(self.held_out.obs):,}"
        return f"{len(self.train.obs):,} recorded transitions, {held_out} held out"

    def state_dict(self) -> dict[str, object]:
        return {
            "generator": self._generator.get_state(),
            "order": self._order,
            "position": self._position,
            "best_policy": self._best_policy,
            "latest_policy": self._latest_policy,
            "progress": [self.epoch, self.epochs_since_best, self.loss, self.best_loss],
            "demonstrations": self._fingerprint,
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Raises Misfit if the state is not of these epochs, ConfigError if it belongs to other demonstrations."""
        check_fingerprint(state["demonstrations"], self._fingerprint)
        self._generator.set_state(saved.tensor(state["generator"], "generator", torch.uint8, (None,)))
        self._order = saved.tensor(state["order"], "order", torch.int64, (None,))
        count = len(self._order)
        if count and not torch.equal(self._order.sort().values, torch.arange(len(self.train.obs))):
            raise saved.Misfit(f"order is no permutation of {len(self.train.obs)} transitions")
        self._position = saved.whole(state["position"], "position", 0, count)
        self._best_policy = self._saved_policy(state["best_policy"], "best_policy")
        self._latest_policy = self._saved_policy(state["latest_policy"], "latest_policy")
        epoch, since_best, loss, best_loss = saved.sequence(state["progress"], "progress", 4)
        self.epoch, self.epochs_since_best = saved.whole(epoch, "epoch"), saved.whole(since_best, "epochs since best")
        if not (isinstance(loss, float) and isinstance(best_loss, float)):  # before the first epoch, NaN and infinity
            raise saved.Misfit(f"losses are {saved.shown([loss, best_loss])}; they must be numbers")
        self.loss, self.best_loss = loss, best_loss

    def _saved_policy(self, value: object, where: str) -> dict[str, Tensor]:
        """Parameters of the policy; empty if there are none yet."""
        return {} if value == {} else tensors_like(value, self.algorithm.agent.policy.state_dict(), where)


class EarlyStopping(Hook):
    """Ends training once the epochs have finished."""

    interval = ANY_INTERVAL

    def __init__(self, epochs: Epochs) -> None:
        self._epochs = epochs

    def on_update(self, training: Training, status: Status) -> None:
        if self._epochs.finished:
            training.stop("validation", f"no better epoch in {self._epochs.patience}")


def n_steps_for(batch_size: int, num_envs: int) -> int:
    """n_steps for updates of batch_size = n_steps · num_envs transitions. Raises ConfigError if not an integer."""
    if batch_size < 1 or batch_size % num_envs:
        raise ConfigError(f"batch_size must be a multiple of num_envs {num_envs}, got {batch_size}")
    return batch_size // num_envs
