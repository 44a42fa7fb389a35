"""Short trainings of every registered agent, and comparisons of two trainings."""

import json
import shutil
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from agents import checkpoint, demonstrations, registry
from agents.a2c import A2C
from agents.settings.schema import setting_types
from rl.run.results import is_finished
from tests.runs import run_of, table
from tests.stress.faults import Done, Fault, train

STEPS = 400
_WAYS = (("auto", "auto"), ("torch", "sync"))  # engine, backend
_SHORT = {
    "total_timesteps": STEPS, "checkpoint_interval": 100, "log_interval": 3, "eval_episodes": 1,
    "eval_interval": 80, "eval_interval_episodes": 1, "eval_patience": 2,
}  # fmt: skip


@cache
def recorded(room: Path) -> dict[str, str]:
    """Values of the settings that name files: a recording, and the agent that made it."""
    actor = A2C("CartPole-v1", num_envs=2, net_arch=(4,)).learn(200)
    file = demonstrations.save(room / "recorded", demonstrations.record(actor, "CartPole-v1", 5))
    return {"demonstrations": str(file), "teachers": f"[{actor.save(room / 'teacher')}]"}


def needs(agent: str, room: Path) -> dict[str, object]:
    """The settings that an agent requires, small enough for the recording."""
    values = {**recorded(room), "batch_size": 8}
    return {key: values[key] for key in setting_types(*registry.kinds(agent)) if key in values}


class Training(NamedTuple):
    agent: str
    engine: str
    backend: str

    def argv(self, room: Path) -> list[str]:
        settings = {**_SHORT, **needs(self.agent, room), "engine": self.engine, "backend": self.backend}
        assignments = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        return ["CartPole-v1", "--agent", self.agent, *assignments]

    def __str__(self) -> str:
        return "-".join(self)


TRAININGS = [Training(agent, *way) for way in _WAYS for agent in registry.NAMES]


class Undisturbed(NamedTuple):
    """An undisturbed training. moments: how often a fault could have occurred."""

    run: Path
    moments: int


@cache
def undisturbed(training: Training, room: Path, kind: type[Fault]) -> Undisturbed:
    inside = room / f"undisturbed-{training}-{kind.__name__}"
    inside.mkdir()
    first = [*training.argv(room), "--out", str(inside / "first"), "--total-timesteps", "8"]
    train(first, inside, Fault())  # compiles the kernels, which also writes files
    done = train([*training.argv(room), "--out", str(inside / "whole")], inside, kind())
    assert (done.status, done.err) == (0, ""), done
    return Undisturbed(run_of(inside / "whole"), done.moments)


def completed(argv: list[str], inside: Path, expected: Path) -> str:
    """Resumes a disturbed run, if it has learned anything, and compares it with an undisturbed one."""
    runs = [file.parent for file in inside.glob("*/*/*/config.yaml")]
    if not runs or not checkpoint.in_order(runs[0] / "checkpoints"):
        done = train([*argv, "--out", str(inside / "anew")], inside, Fault())
        assert (done.status, done.err) == (0, ""), done
        compare(run_of(inside / "anew"), expected)
        return "nothing was learned yet"
    if not (is_finished(runs[0]) and (runs[0] / "learning_curve.png").exists()):
        done = train(["--resume", str(runs[0])], inside, Fault())
        assert (done.status, done.err) == (0, ""), done
    compare(runs[0], expected)
    return "completed, equal to an undisturbed run"


def compare(run: Path, expected: Path) -> None:
    """Asserts that two runs have the same rows, checkpoint and evaluations, except for times."""
    for name in ("metrics.csv", "episodes.csv", "evaluations.csv"):
        rows, others = table(run / name), table(expected / name)
        different = [(row, other) for row, other in zip(rows, others, strict=False) if row != other]
        assert rows == others, f"{name}: {len(rows)} and {len(others)} rows; {different[:1]}"
    for find in (lambda each: checkpoint.newest(each / "checkpoints"), lambda each: each / checkpoint.BEST):
        contents = [checkpoint.load(find(each)) for each in (run, expected)]
        for part in ("state", "loop"):
            assert_equal(*(content[part] for content in contents), part)
        assert_equal(*(content["extra"]["goals"] for content in contents), "goals")
    summaries = [json.loads((each / "summary.json").read_text(encoding="utf-8")) for each in (run, expected)]
    for key in summaries[0]:
        assert "seconds" in key or "_per_" in key or summaries[0][key] == summaries[1][key], key
    leftovers = [path.name for path in run.rglob("*.tmp")]
    assert leftovers == []


def assert_equal(one: object, other: object, place: str) -> None:
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys(), place
        for key in one:
            if key != "seconds":
                assert_equal(one[key], other[key], f"{place} {key}")
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
        assert len(one) == len(other), place
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_equal(a, b, f"{place} {i}")
    elif isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        assert torch.equal(one.nan_to_num(), other.nan_to_num()), place
    elif isinstance(one, np.ndarray):
        assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f"), place
    else:
        assert one == other or (one != one and other != other), f"{place}: {one} and {other}"


def disturbed(training: Training, room: Path, inside: Path, fault: Fault) -> Done:
    """Trains into a separate folder, with a fault."""
    inside.mkdir()
    return train([*training.argv(room), "--out", str(inside)], inside, fault)


def remove(inside: Path) -> None:
    """Removes the folder of a survived attack."""
    shutil.rmtree(inside)
