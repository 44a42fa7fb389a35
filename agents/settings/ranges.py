"""Ranges of integer settings, declared in their types; `convert` rejects values outside."""

from typing import Annotated, NamedTuple


class Range(NamedTuple):
    """Range of an integer, or of the length of a list; both ends included."""

    least: int
    most: int


Seed = Annotated[int, Range(0, 2**32 - 1)]  # range of NumPy's global generator, which Stable-Baselines3 seeds
Extent = Annotated[int, Range(0, 10**12 - 1)]  # environment steps, may be 0
Steps = Annotated[int, Range(1, 10**12 - 1)]  # environment steps
Count = Annotated[int, Range(1, 10_000_000)]  # things held in memory together
Interval = Annotated[int, Range(1, 1_000_000)]  # updates whose metrics are held in memory until they are written
Episodes = Annotated[int, Range(1, 1_000_000)]  # per evaluation
Envs = Annotated[int, Range(1, 65_536)]
Peers = Annotated[int, Range(2, 1_024)]
Frames = Annotated[int, Range(1, 1_024)]
Threads = Annotated[int, Range(1, 1_024)]
Frequency = Annotated[int, Range(-1, 10_000_000)]
Width = Annotated[int, Range(1, 65_536)]  # units of a layer
Widths = Annotated[tuple[Width, ...], Range(0, 64)]
Architecture = Widths | dict[str, Widths]
