"""Trains the conditions over seeds, several runs in parallel. Stores finished runs as lines of a file; reuses them."""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np
from tqdm import tqdm

from agents import A2C
from agents.evaluation import evaluate
from agents.machine import torch_threads
from agents.rollout import Metrics, Rollout
from agents.settings.values import plain
from rl.experiments.collapse.conditions import ENV, UNCLIPPED, Condition
from rl.experiments.collapse.diagnostics import Diagnostics, Episodes
from rl.experiments.executors.pool import processes
from rl.run.files import JsonLines

CURVE = 1_000  # environment steps between points of the learning curve


class Run(NamedTuple):
    score: float  # mean return of 100 deterministic episodes after training
    curve: list[float | None]  # mean return of the last 20 training episodes, every CURVE steps; None before the first
    solved_at: int | None  # first step at which the last 100 training episodes had a mean return of 475 or more
    end: dict[str, float]  # the diagnostics after training
    record: list[dict[str, float]]  # diagnostics during training, if the condition is measured


class Task(NamedTuple):
    condition: Condition
    seed: int

    @property
    def key(self) -> str:
        """Everything that the run depends on."""
        settings = {name: plain(value) for name, value in sorted(self.condition.settings.items())}
        return json.dumps([settings, *self.condition[2:4], self.condition.steps, self.seed])


def train_all(conditions: Sequence[Condition], seeds: Sequence[int], file: Path, jobs: int) -> dict[str, list[Run]]:
    """Label → runs of the condition, in the order of the seeds. file: stores finished runs."""
    tasks = {each.label: [Task(each, seed) for seed in seeds[: each.seeds]] for each in conditions}
    with closing(JsonLines(file)) as kept:
        found = {key: Run(*run) for key, run in cast("list[tuple[str, list[object]]]", kept.values)}  # type: ignore[arg-type]
        missing = list({task.key: task for line in tasks.values() for task in line if task.key not in found}.values())
        with (
            processes(jobs) as pool,
            tqdm(pool.map(train, missing), total=len(missing), unit=" runs", disable=None) as runs,
        ):
            for task, run in zip(missing, runs, strict=True):
                found[task.key] = run
                kept.append([task.key, run])
    return {label: [found[task.key] for task in line] for label, line in tasks.items()}


def train(task: Task) -> Run:
    """Trains one run, on one thread."""
    condition, seed = task
    agent = build(condition, seed)
    diagnostics = Diagnostics(agent, episodes := Episodes())
    with torch_threads(1):
        agent.learn(condition.steps, [episodes, diagnostics] if condition.measured else [episodes])
        score = evaluate(agent, ENV, 100, True, seed).mean
        end = diagnostics.measure()
    curve = learning_curve(episodes.step, episodes.ret, condition.steps)
    return Run(score, curve, solved_at(episodes.step, episodes.ret), end, diagnostics.record)


def build(condition: Condition, seed: int) -> A2C:
    """The agent of a run."""
    settings = {**condition.settings, "seed": seed}
    if condition.scaled == "both":
        return A2C.build_from(ENV, settings)
    agent = HalfClipped.build_from(ENV, settings)
    agent.twin = A2C.build_from(ENV, {**settings, "max_grad_norm": UNCLIPPED})
    agent.scaled = condition.scaled
    return agent


class HalfClipped(A2C):
    """A2C whose clip scales the gradient of one network only. The other network comes from a twin without a clip.

    Both learn from the agent's rollouts and have equal parameters before each update. So the factor of the clip is
    that of A2C, which depends on the norm over both networks.
    """

    engines = ("fused", "torch")
    chunk = None  # updates are not chunked
    twin: A2C
    scaled: Literal["policy", "critic"]

    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        metrics = super().update(batch, progress)
        self.twin.update(batch, progress)
        networks = ("policy", "value") if self.scaled == "policy" else ("value", "policy")
        for name, source, target in zip(networks, (self, self.twin), (self.twin, self), strict=True):
            _copy(source, target, name)
        return metrics


def _copy(source: A2C, target: A2C, network: str) -> None:
    """Copies a network's parameters and their optimizer state."""
    theirs, ours = (agent.learner.optimizer.inner.state for agent in (source, target))
    for p, q in zip(getattr(source, network).parameters(), getattr(target, network).parameters(), strict=True):
        q.data.copy_(p.data)
        ours[q]["square_avg"].copy_(theirs[p]["square_avg"])


def learning_curve(step: Sequence[int], ret: Sequence[float], until: int) -> list[float | None]:
    """The mean return of the last 20 episodes, every CURVE steps; None until 20 episodes have ended."""
    ended = np.searchsorted(step, np.arange(CURVE, until + 1, CURVE), "right")
    return [round(float(np.mean(ret[n - 20 : n])), 1) if n >= 20 else None for n in ended]


def solved_at(step: Sequence[int], ret: Sequence[float], threshold: float = 475) -> int | None:
    """The step at which the mean of the last 100 episodes first reached the threshold."""
    if len(ret) < 100:
        return None
    held = np.convolve(ret, np.full(100, 0.01), "valid") >= threshold
    return step[99 + int(held.argmax())] if held.any() else None
