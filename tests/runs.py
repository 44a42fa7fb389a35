"""Reads run directories for tests."""

import csv
from pathlib import Path

from agents.settings.files import write_yaml
from rl.run.results import write_json


def table(path: Path) -> list[list[str]]:
    """The rows of a CSV file without its wall-clock columns."""
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    kept = [i for i, name in enumerate(rows[0]) if not name.startswith("time/")]
    return [[row[i] for i in kept] for row in rows]


def run_of(parent: Path) -> Path:
    """The only run in a parent of run directories."""
    (config,) = parent.glob("*/*/*/config.yaml")
    return config.parent


def unfinished_run(directory: Path, **settings: object) -> Path:
    """An unfinished run that trained for 300 steps."""
    directory.mkdir()
    write_yaml(directory / "config.yaml", {"env": "A-v0", "agent": "a2c", "seed": 0, **settings})
    names = ["step", "rollout/ep_rew_mean", "train/policy_shift_kl", "train/entropy"]
    rows = [[step, step / 3, 0.01, 0.5] for step in (100, 200, 300)]
    text = "\n".join(",".join(map(str, row)) for row in [names, *rows])
    (directory / "metrics.csv").write_text(f"{text}\n", encoding="utf-8")
    return directory


def finished_run(directory: Path, score: float = 0.0, **settings: object) -> Path:
    """A run of 300 steps, whose agent then played one episode with each kind of actions."""
    run = unfinished_run(directory, **settings)
    scores = {"eval_mean": score, "eval_std": 0.0, "eval_stochastic_mean": score, "eval_stochastic_std": 0.0}
    counts = {"seed": settings.get("seed", 0), "total_timesteps": 300, "eval_episodes": 1}
    write_json(run / "summary.json", counts | scores)
    return run
