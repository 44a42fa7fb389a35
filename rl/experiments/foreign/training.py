"""Trains one foreign environment with `python -m rl.train` in its own process, and evaluates random actions."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, cast

from agents.evaluation import evaluate_uniform
from agents.settings.a2c import A2CSettings
from agents.settings.run import RunSettings
from rl.experiments.foreign.environments import Foreign
from rl.experiments.parallel import prepare

STEPS, EPISODES, EVALUATED = 3_000, 20, 2_000  # training steps; episodes per evaluation; steps of each, at most
_PATIENCE = 600  # seconds
_OUTCOMES = {0: "trained", 1: "failed", 2: "refused"}


class Score(NamedTuple):
    """Mean and standard deviation of the returns of EPISODES episodes."""

    mean: float
    std: float


class Row(NamedTuple):
    """The outcome of one environment."""

    package: str
    version: str
    env: str
    settings: Sequence[str]
    outcome: str  # trained, refused, failed, no answer, or traceback
    message: str  # the error, in one line
    stochastic: Score | None = None
    random: Score | None = None
    seconds: float | None = None  # of training


def try_out(each: Foreign, out: Path) -> Row:
    """Trains an environment and evaluates it beside random actions, with the same limit on steps."""
    few = [f"total_timesteps={STEPS}", f"eval_episodes={EPISODES}", f"eval_max_steps={EVALUATED}", *each.settings]
    with tempfile.TemporaryDirectory(dir=_made(out)) as folder:
        sets = [word for assignment in few for word in ("--set", assignment)]
        outcome = outcome_of(*_run(["rl.train", each.env, *sets, "--out", folder]))
        row = Row(each.package, each.version, each.env, each.settings, *outcome)
        if row.outcome != "trained":
            return row
        summary = json.loads(next(Path(folder).rglob("summary.json")).read_text(encoding="utf-8"))
    ours = Score(summary["eval_stochastic_mean"], summary["eval_stochastic_std"])
    return row._replace(stochastic=ours, random=_random(each.env, few), seconds=summary["train_seconds"])


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run(argv: Sequence[str]) -> tuple[int | None, str]:
    """Exit status and standard error of a module; the status is None if it times out."""
    with (
        tempfile.TemporaryFile("w+", errors="replace") as errors,
        subprocess.Popen(
            [sys.executable, "-m", *argv], stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        ) as process,
    ):  # fmt: skip
        try:
            status = process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            return None, ""
        finally:
            with suppress(ProcessLookupError):  # processes that the environment left behind
                os.killpg(process.pid, signal.SIGKILL)
        errors.seek(0)
        return status, errors.read()


def outcome_of(status: int | None, errors: str) -> tuple[str, str]:
    """Outcome and message. Counts as a traceback only if the command itself ended with one."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if line.startswith("error: ")), "").removeprefix("error: ")
    said = re.sub(r"; traceback in \S+(?=\))| object at 0x[0-9a-f]+", "", said)  # specific to this run
    if status is None:
        return "no answer", f"after {_PATIENCE} s"
    if status == 0:
        return "trained", ""
    if status in _OUTCOMES and said:
        return _OUTCOMES[status], said
    return "traceback", lines[-1] if lines else f"ended with status {status}"


def _random(env_id: str, few: Sequence[str]) -> Score | None:
    """Score of random actions; None if the actions are unbounded."""
    line = prepare("", "a2c", env_id, (A2CSettings, RunSettings), None, few, None)
    most = cast(int, line.settings["eval_max_steps"])
    played = evaluate_uniform(env_id, EPISODES, variant=line.variant, backend=line.backend, max_steps=most)
    return None if played is None else Score(played.mean, played.std)
