"""Trains a Stable-Baselines3 model in its own loop, observed by our hooks."""

import time
from collections.abc import Sequence
from typing import cast

import numpy as np
import stable_baselines3 as sb3
import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from agents.events import Status
from agents.logger import Logger
from agents.maths.distributions import Categorical, DiagonalGaussian
from agents.rollout import Actor, Episode, Metrics
from agents.sb3.model import Model, epochs_of
from agents.training import AnyHook, Training


def learn(
    model: Model, total_timesteps: int, hooks: Sequence[AnyHook] = (), log_interval: int = 100,
    logger: Logger | None = None,
) -> float:  # fmt: skip
    """Trains for this many more steps and calls the hooks after every update. Returns the seconds of training.

    SB3 collects complete rollouts, so training may take up to n_steps · num_envs − 1 more steps. The clock runs while
    SB3 collects and updates, not while the policy shift is measured and hooks run.
    """
    updates = model._n_updates // epochs_of(model)
    start = Status(model.num_timesteps, model.num_timesteps + total_timesteps, updates, 0.0, {}, ())
    training = Training(cast(Actor, model), start, hooks, log_interval, logger or Logger())
    spectator = _Spectator(training)
    training.begin()
    try:
        model.learn(total_timesteps, callback=spectator, log_interval=10**9, reset_num_timesteps=False)
    finally:
        training.end()
    return spectator.seconds


class _Spectator(BaseCallback):
    """Records episodes during a rollout, and measures the policy shift after each update."""

    model: Model

    def __init__(self, training: Training) -> None:
        super().__init__()
        self._training = training
        self.seconds, self._since = 0.0, 0.0
        self._episodes: list[Episode] = []
        self._obs: Tensor | None = None  # the rollout that SB3 is learning from
        self._before: Categorical | DiagonalGaussian | None = None

    def _on_training_start(self) -> None:
        self._since = time.perf_counter()

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self._episodes.append(Episode(info["episode"]["r"], info["episode"]["l"], self.num_timesteps))
        return self._training.stopped is None

    def _on_rollout_end(self) -> None:
        self._stop_clock()
        buffer = self.model.rollout_buffer
        self._obs = torch.as_tensor(np.array(buffer.observations)).flatten(0, 1)
        self._before = self._distribution()
        self._since = time.perf_counter()

    def _on_rollout_start(self) -> None:
        self._after_update()

    def _on_training_end(self) -> None:
        self._after_update()

    def _after_update(self) -> None:
        if self._before is None:
            return
        self._stop_clock()
        updates = self.model._n_updates // epochs_of(self.model)
        until = self._training.until
        status = Status(self.num_timesteps, until, updates, self.seconds, self._metrics(), self._episodes)
        self._training.updated(status)
        self._episodes, self._before = [], None
        self._since = time.perf_counter()

    def _stop_clock(self) -> None:
        self.seconds += time.perf_counter() - self._since

    def _metrics(self) -> Metrics:
        """SB3's log of the update under our names, and the policy shift."""
        logged = self.logger.name_to_value
        shift = self._before.kl(self._distribution()).mean()  # type: ignore[union-attr, arg-type]
        ppo = isinstance(self.model, sb3.PPO)
        numbers = {
            "train/policy_loss": logged["train/policy_gradient_loss" if ppo else "train/policy_loss"],
            "train/value_loss": logged["train/value_loss"],
            "train/entropy": -logged["train/entropy_loss"],
            "train/ent_coef": self.model.ent_coef,
            "train/explained_variance": logged["train/explained_variance"],
            "train/learning_rate": logged["train/learning_rate"],
        }
        if ppo:
            numbers |= {name: logged[name] for name in ("train/clip_fraction", "train/approx_kl")}
        return {"train/policy_shift_kl": shift} | {name: torch.tensor(float(x)) for name, x in numbers.items()}

    @torch.no_grad()
    def _distribution(self) -> Categorical | DiagonalGaussian:
        """SB3's current π(·|s) on the rollout's states."""
        assert self._obs is not None
        policy = self.model.policy
        features = cast(Tensor, policy.extract_features(self._obs))
        out = policy.action_net(policy.mlp_extractor.forward_actor(features))
        log_std = getattr(policy, "log_std", None)
        if log_std is None:
            return Categorical(out.clone(), validate=False)
        return DiagonalGaussian(out.clone(), log_std.clone().expand_as(out), validate=False)
