"""How a run trains on a machine without the driver's disk: in a temporary folder, whose run it sends to the driver."""

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

Send = Callable[[str, Changes], None]  # takes the name of a run under the parent of run directories, and its changes
_OF_A_MACHINE = ("python", "platform")  # versions that may differ


class Parcel(NamedTuple):
    """A job as it travels to a worker."""

    command: Command
    argv: Sequence[str]  # of a new run
    changes: Sequence[str]  # arguments beside --resume
    run: tuple[str, Changes] | None  # the run to go on with: its name under the parent of run directories, its files
    files: Mapping[str, Changes]  # that the settings name, by these names
    versions: Mapping[str, str]  # of the driver


class Courier(Hook):
    """Sends a run directory, at first all of it, then what has changed."""

    def __init__(self, out: Path, send: Send) -> None:
        self._out, self._send = out, send
        self._run: Original | None = None

    def on_checkpoint(self, training: Training, path: Path) -> None:
        self.send()

    def send(self) -> str:
        """Returns the name of the run under `out`; empty if there is none yet."""
        if self._run is None:
            self._run = next((Original(config.parent) for config in self._out.glob("*/*/*/config.yaml")), None)
        if self._run is None:
            return ""
        name = self._run.directory.relative_to(self._out).as_posix()
        self._send(name, self._run.changes())
        return name


def train(parcel: Parcel, send: Send) -> Outcome:
    """Trains the job. The message of the outcome names the run as `send` does, in place of its path here."""
    ours = {name: version for name, version in versions().items() if name not in _OF_A_MACHINE}
    for name, version in ours.items():
        if version != parcel.versions[name]:
            here, there = f"{name} {version}", parcel.versions[name]
            return FAILED, f"{os.uname().nodename} has {here}, the driver {there}: install the same on all nodes"
    with TemporaryDirectory(prefix="actor-critic-") as folder:
        out, place = Path(folder).resolve() / "runs", Path(folder, "files")
        arguments = _unpack(parcel, out, place)
        courier = Courier(out, send)
        with chdir(place):  # where the settings' relative names lead to the files
            status, problem = outcome_of(partial(parcel.command, hooks=[courier]), arguments)
        run = courier.send()
        return status, problem.replace(str(out / run), run) if run else problem


def _unpack(parcel: Parcel, out: Path, place: Path) -> list[str]:
    """Writes the files and the run. Returns the arguments of the command."""
    place.mkdir()
    moved = {name: place / (Path(name).name if Path(name).is_absolute() else name) for name in parcel.files}
    for name, changes in parcel.files.items():
        apply(changes, moved[name])
    if parcel.run is None:
        return [*(str(moved.get(part, part)) for part in parcel.argv), "--out", str(out)]
    name, changes = parcel.run
    apply(changes, out / name)
    return ["--resume", str(out / name), *parcel.changes]
