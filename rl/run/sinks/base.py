"""`Sink`: what a service that receives metrics offers; and the tags under which it receives them."""

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
    """A run, as a sink shows it."""

    directory: Path
    env: str
    agent: str
    seed: int
    settings: Mapping[str, object]
    step: int = 0  # of a resumed run: the environment steps taken before

    @property
    def name(self) -> str:
        return f"{self.env}/{self.agent}/{self.directory.name}"


ROWS, EVALUATIONS = "time/total_timesteps", "eval/mean_reward"  # tags that every row, or evaluation, has


class Sink(Protocol):
    """Receives what a run measures. It is built in a process of its own, and every call may raise."""

    @property
    def held(self) -> Mapping[str, int]:
        """Of a resumed run: the last step of ROWS and of EVALUATIONS in its log; a tag is missing if the log has none.

        The sink gets everything after them, from the run's files where it was measured before.
        """

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """scalars: finite numbers by tag."""

    def show(self, step: int, tag: str, pixels: Pixels) -> None: ...

    def finish(self, summary: Mapping[str, float]) -> None:
        """The run has finished. summary: the numbers of summary.json."""

    def close(self) -> None:
        """Writes what is left."""


def tagged(log: Log) -> dict[str, float]:
    """Our tags, and Stable-Baselines3's where it has others; without what was not measured."""
    ours = {tag: value for tag, value in log.scalars.items() if math.isfinite(value)}
    theirs = {tag: factor * ours[name] for tag, (name, factor) in _OF_SB3.items() if name in ours}
    if "train/clip_fraction" in ours:  # of PPO
        theirs["train/policy_gradient_loss"] = ours["train/policy_loss"]
    counts = {"time/total_timesteps": log.step, "time/iterations": log.iteration, "train/n_updates": log.iteration}
    return {**ours, **theirs, **counts}


def evaluation_tags(evaluated: Evaluated) -> dict[str, float]:
    """Stable-Baselines3's tags of the deterministic evaluation, and ours of both."""
    tags = {"eval/mean_ep_length": float(evaluated.deterministic.lengths.mean())}
    for prefix, one in (("eval/", evaluated.deterministic), ("eval/stochastic_", evaluated.stochastic)):
        tags |= {f"{prefix}mean_reward": one.mean, f"{prefix}std_reward": one.std}
    return tags


def last_steps(rows: Iterable[tuple[int, Iterable[str]]]) -> dict[str, int]:
    """`Sink.held` of a log with these rows, each a step and its tags."""
    held: dict[str, int] = {}
    for step, tags in rows:
        held |= {tag: max(step, held.get(tag, -1)) for tag in {ROWS, EVALUATIONS}.intersection(tags)}
    return held


@contextmanager
def as_gif(film: Pixels) -> Iterator[Path]:
    """A film as a file, which is deleted afterwards."""
    first, *others = map(Image.fromarray, film)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "film.gif"
        first.save(path, save_all=True, append_images=others, duration=1000 // _FPS, loop=0)
        yield path
