"""The events of training that hooks receive. See docs/hooks.md."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Union

import numpy as np
from numpy.typing import NDArray

from agents.logger import rows_of
from agents.rollout import Episode, Metrics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Picture = Union[NDArray[np.uint8], "Figure"]  # uint8[H, W, 3]; a film, uint8[T, H, W, 3]; or a matplotlib figure


class Status(NamedTuple):
    """One or several updates, for hooks that follow updates."""

    step: int  # environment steps taken, over all environments
    until: int  # the step at which training ends
    iteration: int  # updates made
    seconds: float  # training time: collecting and updating, without hooks
    series: Metrics  # the U updates since the last status: float32[U] each, or scalars if U = 1
    episodes: Sequence[Episode]  # finished since the last status

    @property
    def metrics(self) -> dict[str, float]:
        """Name → mean over those of the U updates that measured it; NaN if none did."""
        return dict(zip(self.series, rows_of(self.series).double().nanmean(0).tolist(), strict=True))


class Log(NamedTuple):
    """A row of metrics, after every `log_interval` updates: a row of a run's metrics.csv."""

    step: int
    iteration: int
    seconds: float
    scalars: Mapping[str, float]  # tag, such as train/entropy → mean since the last row; NaN: not measured


class Evaluation(NamedTuple):
    """Undiscounted, unnormalized returns, and lengths, of episodes in order of assignment."""

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    deterministic: bool
    cut: int  # number of episodes cut off

    @property
    def mean(self) -> float:
        return float(self.returns.mean())

    @property
    def std(self) -> float:
        """Population standard deviation over episodes."""
        return float(self.returns.std())

    def __str__(self) -> str:
        mode = "deterministic" if self.deterministic else "stochastic"
        cut = f"; {self.cut} cut off after {self.lengths.max():,} steps" if self.cut else ""
        return f"{self.mean:.2f} ± {self.std:.2f} (mean ± std of {len(self.returns)} {mode} episodes{cut})"


class Evaluated(NamedTuple):
    """An evaluation during training. Returns are undiscounted and unnormalized."""

    step: int
    seconds: float
    deterministic: Evaluation
    stochastic: Evaluation
    best: bool  # whether the deterministic mean equals or exceeds all earlier ones
    since_best: int  # evaluations since the best one; 0 if this is the best


class Image(NamedTuple):
    """A picture, a film or a figure that a hook shows to the others."""

    step: int
    name: str  # a tag, such as eval/film
    picture: Picture


class Stop(NamedTuple):
    """Why training ends before `until`."""

    by: str  # setting or hook that ends it
    why: str  # what happened; may be empty

    def __str__(self) -> str:
        return f"{self.by}: {self.why}" if self.why else self.by
