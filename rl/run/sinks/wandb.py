"""Weights & Biases: offline in the run's wandb/ unless WANDB_MODE says otherwise; `wandb sync` uploads it."""

import os
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

os.environ.setdefault("WANDB_SILENT", "true")  # read on import; keeps its messages out of our output

import wandb
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined, unused-ignore]

from agents.settings.values import plain
from rl.run.sinks.base import Described, Pixels, as_gif, last_steps


class WeightsAndBiases:
    """A resumed run keeps its id, and so continues the same log."""

    def __init__(self, run: Described) -> None:
        offline = os.environ.get("WANDB_MODE", "offline") == "offline"
        files = run.directory.glob("wandb/offline-run-*/*.wandb") if run.step and offline else ()
        self.held = last_steps(chain.from_iterable(map(rows, files)))
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


def rows(file: Path) -> Iterator[tuple[int, set[str]]]:
    """Step and tags of every row in a W&B file; W&B itself offers no way to read it."""
    for data in _records(file.read_bytes()):
        history = Record.FromString(data).history
        yield history.step.num, {item.key or "/".join(item.nested_key) for item in history.item}


def _records(file: bytes) -> Iterator[bytes]:
    """Records of a file in LevelDB's log format: blocks of 32 KiB with fragments that have a 7-byte header."""
    place, whole = 7, b""
    while place + 7 <= len(file):
        left = 32_768 - place % 32_768
        if left < 7:
            place += left
            continue
        length, kind = int.from_bytes(file[place + 4 : place + 6], "little"), file[place + 6]
        whole += file[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a complete record, or its last fragment
            yield whole
            whole = b""
