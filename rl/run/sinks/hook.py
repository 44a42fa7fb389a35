"""`Sinks`: a hook that passes a run's measurements to its sinks, in a separate process that never delays training.

If that process is killed, a resumed run sends what was not written again, from its CSV files.
"""

import importlib.util
import io
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from agents import events
from agents.events import Evaluated, Image, Log
from agents.settings.values import ConfigError, plain
from agents.training import Hook, Training
from envs.extras import install_command
from rl.run.sinks.base import EVALUATIONS, ROWS, Described, Pixels, evaluation_tags, tagged
from rl.run.sinks.link import Link
from rl.run.sinks.process import SINKS, Finished, Message, Picture, Scalars, warn


def check_sinks(names: Sequence[str]) -> None:
    """Raises ConfigError unless every sink is known, named once, and has its package installed."""
    for name in names:
        if name not in SINKS:
            raise ConfigError(f"log takes {', '.join(SINKS)}, got {name!r}")
        if not is_installed(name):
            raise ConfigError(f"log={name} needs the extra {name}: {install_command(name)}")
    if len({*names}) < len(names):
        raise ConfigError(f"log names a sink twice: {', '.join(names)}")


def is_installed(name: str) -> bool:
    """Whether the package that a sink needs is installed."""
    package = SINKS[name][1]
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # already imported, and blocked or without a file
        return sys.modules.get(package) is not None


class Sinks(Hook):
    """Passes metrics, evaluations and pictures to sinks. A sink that fails gets one warning and is dropped.

    `close` must be called at the end.
    """

    defers_log = True

    def __init__(self, names: Sequence[str], run: Described) -> None:
        """Raises ConfigError as `check_sinks` does."""
        check_sinks(names)
        self._names = names
        self._run = run._replace(settings={name: plain(value) for name, value in run.settings.items()})
        self._link: Link | None = None  # started with the first message

    def on_log(self, training: Training, log: Log) -> None:
        self._put(Scalars(ROWS, log.step, tagged(log)))

    def on_evaluation(self, training: Training, evaluated: Evaluated) -> None:
        self._put(Scalars(EVALUATIONS, evaluated.step, evaluation_tags(evaluated)))

    def on_image(self, training: Training, image: Image) -> None:
        if self._names:
            self._put(Picture(image.step, image.name, _pixels(image.picture)))

    def finish(self, step: int, figure: Path, summary: Mapping[str, object]) -> None:
        """Called when the run has finished. figure: its learning curve; summary: the content of summary.json."""
        self._put(Picture(step, "figures/learning_curve", figure.absolute()))
        numbers = {key: float(x) for key, x in summary.items() if isinstance(x, int | float) and math.isfinite(x)}
        self._put(Finished(numbers))

    def wait(self) -> None:
        """Blocks until the sinks have received everything sent so far."""
        if self._link is not None:
            self._link.wait()

    def close(self) -> None:
        """Waits up to a minute for the sinks to write everything."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def _put(self, message: Message) -> None:
        if self._names and self._link is None:
            try:
                self._link = Link(self._names, self._run)
            except OSError as error:  # no memory, or process limit reached
                warn(", ".join(self._names), f"their process cannot start: {error}")
                self._names = ()
        if self._link is not None:
            self._link.put(message)


def _pixels(picture: events.Picture) -> Pixels:
    """uint8[H, W, 3] or uint8[T, H, W, 3]. Raises ConfigError for anything else."""
    if not isinstance(picture, np.ndarray):
        file = io.BytesIO()
        picture.savefig(file, format="png")
        return np.asarray(Pillow.open(file).convert("RGB"))
    if picture.dtype != np.uint8 or picture.ndim not in (3, 4) or picture.shape[-1] != 3:
        raise ConfigError(f"show takes uint8[H, W, 3] or uint8[T, H, W, 3], got {picture.dtype}{list(picture.shape)}")
    return picture
