"""`Sink`: the interface of a service that receives metrics, and the tags that it receives."""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agents.events import Evaluated, Log

Pixels = NDArray[np.uint8]  # a picture, uint8[H, W, 3], or a film, uint8[T, H, W, 3]
_FPS = 15  # frames per second of a film
_OF_SB3 = {  # Stable-Baselines3's tag → ours, and the factor between them
    "time/fps": ("time/steps_per_second", 1),
    "time/time_elapsed": ("time/seconds", 1),
    "train/entropy_loss": ("train/entropy", -1),
}


class Described(NamedTuple):
    """A run as sinks see it."""

    directory: Path
    env: str
    agent: str
    seed: int
    settings: Mapping[str, object]
    step: int = 0  # of a resumed run: the step of its checkpoint

    @property
    def name(self) -> str:
        return f"{self.env}/{self.agent}/{self.directory.name}"


ROWS, EVALUATIONS = "time/total_timesteps", "eval/mean_reward"  # tags present in every row, or in every evaluation


class Sink(Protocol):
    """Receives a run's measurements. It lives in its own process; every call may raise."""

    @property
    def held(self) -> Mapping[str, int]:
        """For a resumed run, the last step of ROWS and of EVALUATIONS in the sink's log; a missing tag means none.

        The sink receives everything later, re-sent from the run's files if it was measured before the interruption.
        """

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """scalars: finite numbers by tag."""

    def show(self, step: int, tag: str, pixels: Pixels) -> None: ...

    def finish(self, summary: Mapping[str, float]) -> None:
        """Called when the run has finished. summary: the numbers in summary.json."""

    def close(self) -> None:
        """Writes everything still buffered."""


def tagged(log: Log) -> dict[str, float]:
    """The measured values under our tags, and also under Stable-Baselines3's where those differ."""
    ours = {tag: value for tag, value in log.scalars.items() if math.isfinite(value)}
    theirs = {tag: factor * ours[name] for tag, (name, factor) in _OF_SB3.items() if name in ours}
    if "train/clip_fraction" in ours:  # PPO
        theirs["train/policy_gradient_loss"] = ours["train/policy_loss"]
    counts = {"time/total_timesteps": log.step, "time/iterations": log.iteration, "train/n_updates": log.iteration}
    return {**ours, **theirs, **counts}


def evaluation_tags(evaluated: Evaluated) -> dict[str, float]:
    """The deterministic evaluation under Stable-Baselines3's tags, and the stochastic one under our own."""
    tags = {"eval/mean_ep_length": float(evaluated.deterministic.lengths.mean())}
    for prefix, one in (("eval/", evaluated.deterministic), ("eval/stochastic_", evaluated.stochastic)):
        tags |= {f"{prefix}mean_reward": one.mean, f"{prefix}std_reward": one.std}
    return tags


def last_steps(rows: Iterable[tuple[int, Iterable[str]]]) -> dict[str, int]:
    """`Sink.held` for a log with these rows of (step, tags)."""
    held: dict[str, int] = {}
    for step, tags in rows:
        held |= {tag: max(step, held.get(tag, -1)) for tag in {ROWS, EVALUATIONS}.intersection(tags)}
    return held


@contextmanager
def as_gif(film: Pixels) -> Iterator[Path]:
    """Writes a film to a temporary GIF."""
    first, *others = map(Image.fromarray, film)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "film.gif"
        first.save(path, save_all=True, append_images=others, duration=1000 // _FPS, loop=0)
        yield path
