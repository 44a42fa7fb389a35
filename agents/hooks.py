"""Hooks of `learn`: the base class, the events that it receives, and hooks to use. See docs/hooks.md."""

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import VectorEnv

from agents.agent import Agent
from agents.checkpoints import Checkpoints
from agents.evaluation import evaluate_both
from agents.events import Evaluated, Evaluation, Image, Log, Status, Stop
from agents.settings.ranges import Count, Episodes, Steps
from agents.settings.values import ConfigError, converted
from agents.training import ANY_INTERVAL, Hook, Training
from envs import EnvLike, saved
from envs.streams import stream_seeds

__all__ = [
    "Checkpoints", "Evaluated", "Evaluation", "Evaluations", "Hook", "Image", "Log", "MaxSeconds", "Patience",
    "PauseAt", "Status", "Stop", "StopAt", "Training",
]  # fmt: skip


class Evaluations(Hook):
    """Evaluates the agent, deterministic and stochastic, after the first update at or past each multiple of
    `step_interval` environment steps, and notifies all hooks (`on_evaluation`).

    Every evaluation plays the same episodes, so that evaluations differ only in the agent; a run's final evaluation
    plays other episodes. Evaluations have their own environments and random numbers, and so do not affect training. An
    evaluation that is due is skipped once training is to stop; the next call of `learn` makes up for it.
    """

    def __init__(
        self, step_interval: int, episodes: int = 20, env: EnvLike | None = None, max_steps: int | None = None
    ) -> None:
        """env: by default, built like the agent's training environments. max_steps: see `agents.evaluation.evaluate`.

        Raises ConfigError if a number is out of range.
        """
        self.step_interval = cast(int, converted("step_interval", step_interval, Steps))
        self.episodes = cast(int, converted("episodes", episodes, Episodes))
        self.env, self.max_steps = env, max_steps
        self.spent = 0.0  # seconds spent on evaluations
        self._start(None)

    def _start(self, step: int | None) -> None:
        self.step = step  # evaluations due up to this step are done; None before training
        self.best: float | None = None  # largest deterministic mean return
        self.best_step: int | None = None
        self.since_best = 0  # evaluations since the best one

    def on_begin(self, training: Training) -> None:
        """Raises ConfigError if the agent trains on an environment object and no other environment is given."""
        agent = cast(Agent, training.agent)
        if self.env is None and isinstance(agent.env, gym.Env | VectorEnv):
            raise ConfigError(
                "Evaluations would end the episodes of the environment object that the agent trains on: pass another, "
                "or a function that builds one, as env="
            )
        if self.step is None or self.step > training.step:  # a new agent, or the step count restarted
            self._start(training.step)
        elif training.step // self.step_interval > self.step // self.step_interval:
            self._evaluate(training)

    def on_steps(self, training: Training) -> None:
        if training.stopped is None:
            self._evaluate(training)

    def _evaluate(self, training: Training) -> None:
        agent = cast(Agent, training.agent)
        seed = stream_seeds(agent.seed, "evaluation in training", 1)[0]
        start = time.perf_counter()
        with same_generators():
            both = evaluate_both(agent, self.episodes, seed, self.max_steps, env=self.env)
        self.spent += time.perf_counter() - start
        mean, self.step = both[0].mean, training.step
        best = self.best is None or mean >= self.best
        if best:
            self.best, self.best_step = mean, training.step
        self.since_best = 0 if best else self.since_best + 1
        training.evaluated(Evaluated(training.step, training.seconds, *both, best, self.since_best))

    def state_dict(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in ("step", "best", "best_step", "since_best")}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Raises Misfit if the state is not that of an Evaluations."""
        given = saved.mapping(state, "evaluations", self.state_dict())
        step, best, best_step = (given[name] for name in ("step", "best", "best_step"))
        self.since_best = saved.whole(given["since_best"], "since_best")
        self.step = None if step is None else saved.whole(step, "step")
        self.best = None if best is None else saved.number(best, "best")
        self.best_step = None if best_step is None else saved.whole(best_step, "best_step")


@contextmanager
def same_generators() -> Iterator[None]:
    """Restores the global generators, which an environment may use."""
    ours, numpys, torchs = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(ours)
        np.random.set_state(numpys)  # noqa: NPY002
        torch.set_rng_state(torchs)


class StopAt(Hook):
    """Stops training at the first evaluation whose deterministic mean return is at least `goal`."""

    def __init__(self, goal: float) -> None:
        self.goal = cast(float, converted("goal", goal, float))

    def on_evaluation(self, training: Training, evaluated: Evaluated) -> None:
        mean = evaluated.deterministic.mean
        if mean >= self.goal:
            training.stop("stop_at", f"an evaluation of {mean:.2f}, the goal is {self.goal:g}")


class Patience(Hook):
    """Stops training after this many consecutive evaluations that are worse than the best one."""

    def __init__(self, evaluations: int) -> None:
        self.evaluations = cast(int, converted("evaluations", evaluations, Count))

    def on_evaluation(self, training: Training, evaluated: Evaluated) -> None:
        if evaluated.since_best >= self.evaluations:
            training.stop("eval_patience", f"no better evaluation in {evaluated.since_best}")


class PauseAt(Hook):
    """Stops training after the first update at or past this number of environment steps; it can be continued."""

    def __init__(self, step: int) -> None:
        self.step_interval = cast(int, converted("step", step, Steps))

    def on_begin(self, training: Training) -> None:
        if training.step >= self.step_interval:
            self.on_steps(training)

    def on_steps(self, training: Training) -> None:
        training.stop("pause_at", f"step {training.step:,}")


class MaxSeconds(Hook):
    """Stops training after this many seconds of wall-clock time, which includes hooks such as evaluations.

    Counts the time of all calls of `learn`, and of earlier processes via `spent`.
    """

    interval = ANY_INTERVAL

    def __init__(self, seconds: float) -> None:
        self.seconds = cast(float, converted("seconds", seconds, float))
        self.spent = 0.0  # seconds, until the latest update
        self._since = 0.0

    def on_begin(self, training: Training) -> None:
        self._since = time.perf_counter() - self.spent

    def on_update(self, training: Training, status: Status) -> None:
        self.spent = time.perf_counter() - self._since
        if self.spent >= self.seconds:
            training.stop("max_seconds", f"{self.spent:.1f} s of {self.seconds:g} s")
