"""Trains a run on a machine without the driver's disk, in a temporary folder, and sends the run to the driver."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from agents.machine import versions
from agents.training import Hook, Training
from rl.experiments.executors.base import Command, Outcome, outcome_of
from rl.experiments.executors.copies import Changes, Original, apply
from rl.run.terminal import FAILED

Send = Callable[[str, Changes], None]  # called with the run's name (path below `out`) and its changes
_OF_A_MACHINE = ("python", "platform")  # these versions may differ


class Parcel(NamedTuple):
    """A job as sent to a worker."""

    command: Command
    argv: Sequence[str]  # of a new run
    changes: Sequence[str]  # arguments beside --resume
    run: tuple[str, Changes] | None  # the run to resume: its name (path below `out`) and its files
    files: Mapping[str, Changes]  # name in the settings → content
    versions: Mapping[str, str]  # the driver's


class Courier(Hook):
    """Sends a run directory: everything at first, later only changes."""

    def __init__(self, out: Path, send: Send) -> None:
        self._out, self._send = out, send
        self._run: Original | None = None

    def on_checkpoint(self, training: Training, path: Path) -> None:
        self.send()

    def send(self) -> str:
        """Sends changes. Returns the run's name under `out`; empty if there is no run yet."""
        if self._run is None:
            self._run = next((Original(config.parent) for config in self._out.glob("*/*/*/config.yaml")), None)
        if self._run is None:
            return ""
        name = self._run.directory.relative_to(self._out).as_posix()
        self._send(name, self._run.changes())
        return name


def train(parcel: Parcel, send: Send) -> Outcome:
    """Trains the job. Its message names the run as `send` does, instead of by its path on this machine."""
    ours = {name: version for name, version in versions().items() if name not in _OF_A_MACHINE}
    for name, version in ours.items():
        if version != parcel.versions[name]:
            here, there = f"{name} {version}", parcel.versions[name]
            return FAILED, f"{os.uname().nodename} has {here}, the driver {there}: install the same on all nodes"
    with TemporaryDirectory(prefix="actor-critic-") as folder:
        out, place = Path(folder).resolve() / "runs", Path(folder, "files")
        arguments = _unpack(parcel, out, place)
        courier = Courier(out, send)
        with chdir(place):  # relative names in the settings resolve here
            status, problem = outcome_of(partial(parcel.command, hooks=[courier]), arguments)
        run = courier.send()
        return status, problem.replace(str(out / run), run) if run else problem


def _unpack(parcel: Parcel, out: Path, place: Path) -> list[str]:
    """Writes the files and the run to disk. Returns the command's arguments."""
    place.mkdir()
    moved = {name: place / (Path(name).name if Path(name).is_absolute() else name) for name in parcel.files}
    for name, changes in parcel.files.items():
        apply(changes, moved[name])
    if parcel.run is None:
        return [*(str(moved.get(part, part)) for part in parcel.argv), "--out", str(out)]
    name, changes = parcel.run
    apply(changes, out / name)
    return ["--resume", str(out / name), *parcel.changes]
