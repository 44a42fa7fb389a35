"""`Demonstrations`: transitions of whole episodes, one after the other."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.rollout import Array
from agents.settings.values import ConfigError

Flags = NDArray[np.bool_]


class DemonstrationError(ConfigError):
    """These demonstrations cannot be used here; the message says which, what is wrong, and what to do."""


class Demonstrations(NamedTuple):
    """M transitions of E episodes. Each begins where `first` is true, and ends where it terminated or was truncated.

    Every row is a full transition, as of `agents.rollout.Rollout`: actions are the policy's, counted from 0 and not
    clipped, and next_obs is the true successor, also where an episode ended.
    """

    env_id: str
    obs: Array  # [M, …], as `envs.Worlds` gives it: not normalized, structured observations in one row
    action: Array  # int64[M], int64[M, K] or float32[M, A]
    reward: NDArray[np.float32]  # [M]
    next_obs: Array  # [M, …]
    terminated: Flags  # [M]
    truncated: Flags  # [M]
    first: Flags  # [M]
    legal: Flags | None = None  # [M, A], actions that were allowed, if the environment has action masks
    about: Mapping[str, object] = {}  # where they come from: see docs/demonstrations.md

    @property
    def transitions(self) -> int:
        """M."""
        return len(self.first)

    @property
    def episodes(self) -> list[tuple[int, int]]:
        """[start, stop) of each, in rows."""
        starts = np.flatnonzero(self.first).tolist()
        return list(zip(starts, [*starts[1:], self.transitions], strict=True))

    @property
    def returns(self) -> NDArray[np.float64]:
        """The undiscounted return of each episode, float64[E]."""
        summed: NDArray[np.float64] = np.add.reduceat(self.reward, np.flatnonzero(self.first), dtype=np.float64)
        return summed

    def select(self, episodes: Sequence[int]) -> "Demonstrations":
        """These episodes, counted from 0, in this order."""
        bounds = self.episodes
        return self._rows(np.concatenate([np.arange(*bounds[k]) for k in episodes]))

    def take(self, episodes: int) -> "Demonstrations":
        """The first so many episodes. Raises DemonstrationError if there are not as many."""
        if not 1 <= episodes <= len(self.episodes):
            raise DemonstrationError(f"{episodes} episodes asked for; these demonstrations hold {len(self.episodes)}")
        return self.select(range(episodes))

    def split(self, fraction: float, seed: int = 0) -> tuple["Demonstrations", "Demonstrations"]:
        """(to train on, held out): this fraction of the episodes is held out, drawn at random, at least one of them.

        Where there is one episode only, its end is held out, and the rest counts as truncated there.
        Raises ValueError unless 0 < fraction < 1, and DemonstrationError if there is one transition only.
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
        """One episode as two."""
        if self.transitions < 2:
            raise DemonstrationError("one transition cannot be split; record more episodes")
        early, late = self._rows(np.arange(row)), self._rows(np.arange(row, self.transitions))
        early.truncated[-1] = late.first[0] = True
        return early, late

    def _rows(self, rows: NDArray[np.int64]) -> "Demonstrations":
        return self._replace(
            obs=self.obs[rows], action=self.action[rows], reward=self.reward[rows], next_obs=self.next_obs[rows],
            terminated=self.terminated[rows], truncated=self.truncated[rows], first=self.first[rows],
            legal=None if self.legal is None else self.legal[rows],
        )  # fmt: skip


def _share(fraction: float, count: int) -> int:
    """About this fraction of the count, neither nothing nor all of it."""
    return min(max(round(fraction * count), 1), count - 1)
