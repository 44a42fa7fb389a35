"""The sinks' process: opens the sinks, passes messages to them, closes them."""

import os
import pickle
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from rl.run.files import after_others
from rl.run.sinks.base import Described, Pixels, Sink
from rl.run.sinks.earlier import Entry, entries
from rl.run.streams import protect_streams

SINKS = {  # name → module:Class, and the package required
    "tensorboard": ("rl.run.sinks.tensorboard:TensorBoard", "tensorboard"),
    "wandb": ("rl.run.sinks.wandb:WeightsAndBiases", "wandb"),
    "mlflow": ("rl.run.sinks.mlflow:MLflow", "mlflow"),
    "trackio": ("rl.run.sinks.trackio:Trackio", "trackio"),
}


class Scalars(NamedTuple):
    """A row of metrics or an evaluation."""

    kind: str  # ROWS or EVALUATIONS
    step: int
    scalars: Mapping[str, float]

    def tell(self, sink: Sink) -> None:
        """Logs the row unless the sink has it."""
        if self.step > sink.held.get(self.kind, -1):
            sink.log(self.step, self.scalars)


class Picture(NamedTuple):
    """A picture or a film; a path means the picture in that file."""

    step: int
    tag: str
    pixels: Pixels | Path

    def tell(self, sink: Sink) -> None:
        pixels = self.pixels
        sink.show(
            self.step, self.tag, np.asarray(Image.open(pixels).convert("RGB")) if isinstance(pixels, Path) else pixels
        )


class Finished(NamedTuple):
    """The numbers of summary.json."""

    summary: Mapping[str, float]

    def tell(self, sink: Sink) -> None:
        sink.finish(self.summary)


class Ping(NamedTuple):
    """Asks for an answer once everything before it has been processed."""


Message = Scalars | Picture | Finished | Ping


def main() -> None:
    """Reads the sinks' names, the run and the messages from standard input until it is closed."""
    for each in (signal.SIGINT, signal.SIGTERM):  # the run handles them, and then closes the input
        signal.signal(each, signal.SIG_IGN)
    protect_streams()
    source, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # keeps a package's prints out of the answers
    names, run = pickle.load(source)
    try:
        with after_others(run.directory):
            work(names, run, _messages(source), answers)
    except OSError as error:
        warn(", ".join(names), error)


def _messages(source: BinaryIO) -> Iterator[Message]:
    while True:
        try:
            yield pickle.load(source)
        except (EOFError, pickle.UnpicklingError):  # end of input, or a message cut off by a kill
            return


def work(names: Iterable[str], run: Described, messages: Iterable[Message], answers: BinaryIO) -> None:
    """Passes every message to every sink. A sink that raises gets one warning and is dropped."""
    sinks = dict[str, Sink]()
    for name in names:
        try:
            sinks[name] = _open(name, run)
        except Exception as error:
            warn(name, error)
    for entry in _earlier(run):
        _tell(sinks, Scalars(*entry))
    for message in messages:
        if isinstance(message, Ping):
            answers.write(b".")
        else:
            _tell(sinks, message)
    for name, sink in sinks.items():
        try:
            sink.close()
        except Exception as error:
            warn(name, error)


def _open(name: str, run: Described) -> Sink:
    module, _, attribute = SINKS[name][0].partition(":")
    sink: Sink = getattr(import_module(module), attribute)(run)
    return sink


def _earlier(run: Described) -> list[Entry]:
    try:
        return entries(run) if run.step else []
    except Exception as error:
        print(f"warning: log: rows from before cannot be sent again: {error}", file=sys.stderr)
        return []


def _tell(sinks: dict[str, Sink], message: Scalars | Picture | Finished) -> None:
    for name in [*sinks]:
        try:
            message.tell(sinks[name])
        except Exception as error:
            del sinks[name]
            warn(name, error)


def warn(name: str, error: object) -> None:
    """Prints one line that names the sink."""
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    print(f"warning: log={name}: {reason}; it receives nothing more, the CSV files are complete", file=sys.stderr)
