"""`Demonstrations`: the transitions of complete episodes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.rollout import Array
from agents.settings.values import ConfigError

Flags = NDArray[np.bool_]


class DemonstrationError(ConfigError):
    """Demonstrations are invalid or do not fit their use; the message names the source, the fault and the remedy."""


class Demonstrations(NamedTuple):
    """M transitions of E complete episodes, in order.

    An episode starts where `episode_start` is true and ends where `terminated` or `truncated` is. Each row is a full
    transition, as in `agents.rollout.Rollout`: next_obs is the true successor even where an episode ended, and actions
    are the policy's: discrete ones counted from 0, continuous ones not clipped.
    """

    env_id: str
    obs: Array  # [M, …], as `envs.Worlds` returns it: not normalized; structured observations flattened
    action: Array  # int64[M], int64[M, K] or float32[M, A]
    reward: NDArray[np.float32]  # [M]
    next_obs: Array  # [M, …]
    terminated: Flags  # [M]
    truncated: Flags  # [M]
    episode_start: Flags  # [M]
    legal: Flags | None = None  # [M, A], the legal actions, if the environment has action masks
    metadata: Mapping[str, object] = {}  # their origin: docs/demonstrations.md lists the keys

    @property
    def transitions(self) -> int:
        """M, the number of transitions."""
        return len(self.episode_start)

    @property
    def episodes(self) -> list[tuple[int, int]]:
        """The rows [start, stop) of each episode."""
        starts = np.flatnonzero(self.episode_start).tolist()
        return list(zip(starts, [*starts[1:], self.transitions], strict=True))

    @property
    def returns(self) -> NDArray[np.float64]:
        """The undiscounted return of each episode, float64[E]."""
        summed: NDArray[np.float64] = np.add.reduceat(self.reward, np.flatnonzero(self.episode_start), dtype=np.float64)
        return summed

    def select(self, episodes: Sequence[int]) -> "Demonstrations":
        """The episodes of these indices, in this order."""
        bounds = self.episodes
        return self._rows(np.concatenate([np.arange(*bounds[k]) for k in episodes]))

    def take(self, episodes: int) -> "Demonstrations":
        """The first `episodes` episodes. Raises DemonstrationError if there are fewer."""
        if not 1 <= episodes <= len(self.episodes):
            raise DemonstrationError(f"asked for {episodes} episodes; the demonstrations have {len(self.episodes)}")
        return self.select(range(episodes))

    def split(self, fraction: float, seed: int = 0) -> tuple["Demonstrations", "Demonstrations"]:
        """(training, held out): holds out this fraction of the episodes, at least one, drawn at random.

        A single episode is cut in two: its end is held out, and the remaining part is marked as truncated.
        Raises ValueError unless 0 < fraction < 1, and DemonstrationError if there is only one transition.
        """
        if not 0 < fraction < 1:
            raise ValueError(f"fraction must lie between 0 and 1, got {fraction}")
        count = len(self.episodes)
        if count == 1:
            return self._cut(self.transitions - _share(fraction, self.transitions))
        held = _share(fraction, count)
        order = np.random.default_rng(seed).permutation(count).tolist()
        return self.select(sorted(order[held:])), self.select(sorted(order[:held]))

    def _cut(self, row: int) -> tuple["Demonstrations", "Demonstrations"]:
        """Cuts a single episode in two, the second of which starts at this row."""
        if self.transitions < 2:
            raise DemonstrationError("a single transition cannot be split; record more episodes")
        early, late = self._rows(np.arange(row)), self._rows(np.arange(row, self.transitions))
        early.truncated[-1] = late.episode_start[0] = True
        return early, late

    def _rows(self, rows: NDArray[np.int64]) -> "Demonstrations":
        arrays = {name: x for name, x in self._asdict().items() if name not in ("env_id", "metadata") and x is not None}
        return self._replace(**{name: x[rows] for name, x in arrays.items()})


def _share(fraction: float, count: int) -> int:
    """The fraction of the count, rounded, at least 1 and at most count − 1."""
    return min(max(round(fraction * count), 1), count - 1)
