"""`Sinks`: the hook that passes what a run measures to its sinks, in a thread that training never waits for.

A kill loses what the thread has not written yet; a resumed run sends it again, from its CSV files.
"""

import importlib
import importlib.util
import io
import math
import queue
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from agents.events import Evaluated, Image, Log, Picture
from agents.settings.values import ConfigError
from agents.training import Hook, Training
from envs.extras import install_command
from rl.run.sinks.base import EVALUATIONS, ROWS, Described, Pixels, Sink, evaluation_tags, tagged
from rl.run.sinks.earlier import Entry, entries

SINKS = {  # name → module:Class, and the package that it needs
    "tensorboard": ("rl.run.sinks.tensorboard:TensorBoard", "tensorboard"),
    "wandb": ("rl.run.sinks.wandb:WeightsAndBiases", "wandb"),
    "mlflow": ("rl.run.sinks.mlflow:MLflow", "mlflow"),
    "trackio": ("rl.run.sinks.trackio:Trackio", "trackio"),
}
_GRACE = 60  # seconds that the sinks get at the end to write what is left
Call = Callable[[Sink], None]


def check_sinks(names: Sequence[str]) -> None:
    """Raises ConfigError unless every sink is known, named once, and its package installed."""
    for name in names:
        if name not in SINKS:
            raise ConfigError(f"log takes {', '.join(SINKS)}, got {name!r}")
        if not is_installed(name):
            raise ConfigError(f"log={name} needs the extra {name}: {install_command(name)}")
    if len({*names}) < len(names):
        raise ConfigError(f"log names a sink twice: {', '.join(names)}")


def is_installed(name: str) -> bool:
    """Whether the package that a sink needs is there."""
    package = SINKS[name][1]
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # imported, and blocked or without a file
        return sys.modules.get(package) is not None


def _open(name: str, run: Described) -> Sink:
    module, _, attribute = SINKS[name][0].partition(":")
    sink: Sink = getattr(importlib.import_module(module), attribute)(run)
    return sink


class Sinks(Hook):
    """Passes rows of metrics, evaluations and pictures to sinks. A sink that raises is warned of once, and left out.

    `close` must be called at the end.
    """

    defers_log = True

    def __init__(self, names: Sequence[str], run: Described) -> None:
        """Raises ConfigError as `check_sinks` does."""
        check_sinks(names)
        self._names, self._run = names, run
        self._calls: queue.SimpleQueue[Call | threading.Event | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def on_log(self, training: Training, log: Log) -> None:
        self._put(_logging(ROWS, log.step, tagged(log)))

    def on_evaluation(self, training: Training, evaluated: Evaluated) -> None:
        self._put(_logging(EVALUATIONS, evaluated.step, evaluation_tags(evaluated)))

    def on_image(self, training: Training, image: Image) -> None:
        if self._names:
            pixels = _pixels(image.picture)
            self._put(lambda sink: sink.show(image.step, image.name, pixels))

    def finish(self, step: int, figure: Path, summary: Mapping[str, object]) -> None:
        """The run has finished. figure: its learning curve; summary: what summary.json holds."""
        if self._names:
            curve = np.asarray(Pillow.open(figure).convert("RGB"))
            self._put(lambda sink: sink.show(step, "figures/learning_curve", curve))
        numbers = {key: float(x) for key, x in summary.items() if isinstance(x, int | float) and math.isfinite(x)}
        self._put(lambda sink: sink.finish(numbers))

    def wait(self) -> None:
        """Waits until the sinks have everything that they were given."""
        if self._thread is not None:
            done = threading.Event()
            self._calls.put(done)
            done.wait()

    def close(self) -> None:
        """Waits until the sinks have written everything, a minute at most."""
        if self._thread is not None:
            self._calls.put(None)
            self._thread.join(_GRACE)
            if self._thread.is_alive():
                _warn(", ".join(self._names), f"did not end within {_GRACE} s")
            self._thread = None

    def _put(self, call: Call) -> None:
        if self._names and self._thread is None:  # daemon: a sink that hangs must not keep the process
            self._thread = threading.Thread(target=self._work, name="sinks", daemon=True)
            self._thread.start()
        if self._thread is not None:
            self._calls.put(call)

    def _work(self) -> None:
        """The thread: opens the sinks, passes calls on, closes them."""
        sinks = dict[str, Sink]()
        for name in self._names:
            try:
                sinks[name] = _open(name, self._run)
            except Exception as error:
                _warn(name, error)
        for entry in self._earlier():
            _tell(sinks, _logging(*entry))
        while (call := self._calls.get()) is not None:
            if isinstance(call, threading.Event):
                call.set()
            else:
                _tell(sinks, call)
        _tell(sinks, lambda sink: sink.close())

    def _earlier(self) -> list[Entry]:
        try:
            return entries(self._run) if self._run.step else []
        except Exception as error:
            print(f"warning: log: rows from before cannot be sent again: {error}", file=sys.stderr)
            return []


def _logging(kind: str, step: int, scalars: Mapping[str, float]) -> Call:
    """Logs what the sink does not hold."""
    return lambda sink: None if step <= sink.held.get(kind, -1) else sink.log(step, scalars)


def _tell(sinks: dict[str, Sink], call: Call) -> None:
    for name in [*sinks]:
        try:
            call(sinks[name])
        except Exception as error:
            del sinks[name]
            _warn(name, error)


def _warn(name: str, error: object) -> None:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    print(f"warning: log={name}: {reason}; it receives nothing more, the CSV files are complete", file=sys.stderr)


def _pixels(picture: Picture) -> Pixels:
    """uint8[H, W, 3] or uint8[T, H, W, 3]. Raises ConfigError for anything else."""
    if not isinstance(picture, np.ndarray):
        file = io.BytesIO()
        picture.savefig(file, format="png")
        return np.asarray(Pillow.open(file).convert("RGB"))
    if picture.dtype != np.uint8 or picture.ndim not in (3, 4) or picture.shape[-1] != 3:
        raise ConfigError(f"show takes uint8[H, W, 3] or uint8[T, H, W, 3], got {picture.dtype}{list(picture.shape)}")
    return picture
