"""Weights & Biases: offline in the run's wandb/ unless WANDB_MODE says otherwise; `wandb sync` uploads it."""

import json
import os
import re
from collections.abc import Mapping

os.environ.setdefault("WANDB_SILENT", "true")  # read as it is imported; it would speak between our lines

import wandb

from agents.settings.values import plain
from agents.writing import write_text
from rl.run.sinks.base import EVALUATIONS, ROWS, Described, Pixels, as_gif


class WeightsAndBiases:
    """A resumed run has the id of the run, so that it goes on in the same log.

    The file wandb/held.json says what the log holds: W&B's own files cannot be asked.
    """

    def __init__(self, run: Described) -> None:
        self._file = run.directory / "wandb" / "held.json"
        self.held: dict[str, int] = json.loads(self._file.read_text("utf-8")) if self._file.is_file() else {}
        self._written, self._latest = dict(self.held), dict[str, int]()  # W&B keeps the latest step until the next one
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "actor-critic"),
            name=run.name,
            id=re.sub(r"[^A-Za-z0-9_-]", "-", run.name)[-64:],
            resume="allow",
            dir=str(run.directory),
            mode="offline" if "WANDB_MODE" not in os.environ else None,
            config={name: plain(value) for name, value in run.settings.items()},
            settings=wandb.Settings(silent=True, console="off"),
        )

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        self._run.log(dict(scalars), step=step)
        if step > max(self._latest.values(), default=-1):
            self._written, self._latest = {**self._written, **self._latest}, {}
            write_text(self._file, json.dumps(self._written))
        self._latest |= {tag: step for tag in (ROWS, EVALUATIONS) if tag in scalars}

    def show(self, step: int, tag: str, pixels: Pixels) -> None:
        if pixels.ndim == 3:
            self._run.log({tag: wandb.Image(pixels)}, step=step)
            return
        with as_gif(pixels) as file:
            self._run.log({tag: wandb.Video(str(file), format="gif")}, step=step)

    def finish(self, summary: Mapping[str, float]) -> None:
        self._run.summary.update({f"final/{name}": value for name, value in summary.items()})

    def close(self) -> None:
        self._run.finish()
        write_text(self._file, json.dumps({**self._written, **self._latest}))
