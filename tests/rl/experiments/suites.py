"""Runs and tables shared by the tests of the suites."""

from pathlib import Path

import numpy as np

from agents.evaluation import Evaluation
from rl.run.results import Result


def result(seed: int, mean: float, stochastic: float | None = None, steps: int = 500_000, cut: int = 0) -> Result:
    summary = {
        "seed": seed, "total_timesteps": steps, "eval_mean": mean, "eval_episodes": 100,
        "eval_stochastic_mean": mean if stochastic is None else stochastic, "eval_cut": cut,
    }  # fmt: skip
    return Result(Path(f"run-{seed}"), summary)


def played(mean: float, cut: int = 0) -> Evaluation:
    """The evaluation of a trivial policy."""
    return Evaluation(np.full(100, mean), np.ones(100, np.int64), deterministic=False, cut=cut)


def rows(table: str) -> dict[str, list[str]]:
    """The table's cells, by environment."""
    split = [
        line.removeprefix("| ").removesuffix(" |").split(" | ") for line in table.splitlines() if line.startswith("| ")
    ]
    return {cells[0]: cells[1:] for cells in split[1:]}
