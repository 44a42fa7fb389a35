"""`Ranks`: the processes that train one agent together, each with its share of the environments.

`torchrun --nproc-per-node=R -m rl.train ENV` starts them. Of N environments, rank r has N/R, starting at r N/R. All
ranks make the same updates: what an update sums over the rollout is summed over the ranks too. So a run on R ranks
equals a run in one process up to rounding, and a checkpoint can resume on any number of ranks that divides N.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import count
from typing import Any, TypeVar, cast

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from agents.mailbox import Mailbox, opened
from agents.settings.values import ConfigError

T = TypeVar("T")
_mailbox: Mailbox | None = None  # of this process, while `joined`, if all ranks are on one machine
_OF_TORCHRUN = ("RANK", "MASTER_ADDR", "MASTER_PORT")  # variables that it sets beside WORLD_SIZE
_PATIENCE = timedelta(days=1)  # for a rank that evaluates or compiles; a lost one is noticed at once


class RankLost(RuntimeError):
    """Another rank is lost, so this one cannot continue."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that train one agent. All ranks must call every method but `own` together."""

    index: int = 0
    count: int = 1

    @property
    def alone(self) -> bool:
        return self.count == 1

    def own(self, total: int) -> slice:
        """This rank's rows out of those of all environments."""
        size = total // self.count
        return slice(self.index * size, (self.index + 1) * size)

    def add(self, x: Tensor, *others: Tensor) -> Tensor:
        """Σ over ranks, in place, for all tensors at once. Raises RankLost if a rank is lost."""
        if self.count > 1:
            tensors = [each.view(-1) for each in (x, *others)]
            with _noticing():
                if _mailbox:
                    _mailbox.add([each.numpy() for each in tensors])
                else:
                    for work in [dist.all_reduce(each, async_op=True) for each in tensors]:
                        work.wait()
        return x

    def gather(self, x: Tensor, dim: int = 1) -> Tensor:
        """Concatenates the ranks' tensors, all of one shape, along the dimension of the environments."""
        if self.count == 1:
            return x
        parts = [torch.empty_like(x) for _ in range(self.count)]
        with _noticing():
            if _mailbox:
                rows = torch.from_numpy(_mailbox.gather(x.contiguous().view(-1).numpy()))
                parts = [row.view(x.shape) for row in rows]
            else:
                dist.all_gather(parts, x.contiguous())
        return torch.cat(parts, dim)

    def mean(self, x: Tensor, share: float | None = None) -> Tensor:
        """Σ share · x over ranks. share: this rank's share of the rows that x averages, by default 1 / count."""
        if self.count == 1:
            return x
        share = 1 / self.count if share is None else share
        return self.add(share * x if share else torch.zeros_like(x))

    def standardized(self, x: Tensor) -> Tensor:
        """(x − mean) / (s + 1e-8), where s is the sample standard deviation over the elements of all ranks.

        A single element stays as it is.
        """
        n, total = x.numel(), float(x.sum())
        sums = self.add(torch.tensor([n, total], dtype=x.dtype))
        mean = sums[1] / sums[0]
        square = self.add((x - mean).square().sum())
        if bool(sums[0] == 1):
            return x
        return (x - mean) / ((square / (sums[0] - 1)).sqrt() + 1e-8)

    def highest(self, number: int) -> int:
        """The largest of the ranks' numbers."""
        return max(self.collect(number))

    def collect(self, value: T) -> list[T]:
        """The values of all ranks, in order; pickled."""
        if self.count == 1:
            return [value]
        values = cast("list[T]", [None] * self.count)
        with _noticing():
            dist.all_gather_object(values, value)
        return values

    def collect_present(self, value: T) -> list[T]:
        """The values of all ranks that are not None or empty, in order. Where all are, it costs one small sum."""
        if self.count > 1 and not self.add(torch.tensor(float(bool(value)))):
            return []
        return [each for each in self.collect(value) if each]


ALONE = Ranks()


def current() -> Ranks:
    """The ranks that `joined` joined; otherwise this process alone."""
    if dist.is_available() and dist.is_initialized():
        return Ranks(dist.get_rank(), dist.get_world_size())
    return ALONE


@contextmanager
def joined(share_memory: bool = True) -> Iterator[Ranks]:
    """Joins the other processes if torchrun started this one; leaves them at the end.

    share_memory: whether ranks of one machine exchange numbers through memory, where that is possible, or always
    through the sockets of gloo.

    Raises ConfigError if only WORLD_SIZE is set, as other launchers and images do.
    """
    asked = os.environ.get("WORLD_SIZE", "1")
    if asked == "1":
        yield ALONE
        return
    if lacking := [name for name in _OF_TORCHRUN if name not in os.environ]:
        raise ConfigError(
            f"WORLD_SIZE={asked} asks for several processes, but {lacking[0]} is not set: start them by torchrun, "
            "or unset WORLD_SIZE to train in one"
        )
    global _mailbox
    (store, rank, size), times = _meeting()
    store = dist.PrefixStore(f"actor-critic-{next(times)}", store)  # type: ignore[attr-defined]
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    ranks = current()
    try:
        _mailbox = opened(ranks.index, ranks.count, ranks.collect) if share_memory else None
        yield ranks
    finally:
        if _mailbox:
            _mailbox.close()
        _mailbox = None
        dist.destroy_process_group()


@cache
def _meeting() -> tuple[tuple[Any, int, int], Iterator[int]]:
    """(the store through which the ranks find each other, rank, number of ranks), and a number for each `joined`.

    The store stays open until the process ends: a rank that joins again must find neither the last store, which the
    first rank is about to close, nor addresses of the last time.
    """
    from torch.distributed.rendezvous import rendezvous  # which a torch without distributed training lacks

    return next(rendezvous("env://", timeout=_PATIENCE)), count()


@contextmanager
def _noticing() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ConnectionError) as error:  # RuntimeError: from gloo, if a connection was closed
        raise RankLost("another rank has ended") from error


def concatenated(states: Sequence[object]) -> object:
    """All environments' state from the ranks' states: concatenates lists and arrays with a row per environment."""
    first = states[0]
    if isinstance(first, dict):
        return {key: concatenated([cast("dict[str, object]", state)[key] for state in states]) for key in first}
    if isinstance(first, list):
        return [row for state in states for row in cast("list[object]", state)]
    if isinstance(first, Tensor):
        return torch.cat(cast("list[Tensor]", list(states)))
    return first if first is None else np.concatenate([np.asarray(state) for state in states])


def refuse_several(name: str) -> None:
    """Raises ConfigError if several processes train an algorithm that supports only one. name: the algorithm's."""
    if not current().alone:
        raise ConfigError(
            f"torchrun trains one a2c or ppo in several processes; {name} learns in one: "
            "train independent learners by rl.compare --seeds"
        )


def share_of(state: object, ranks: Ranks) -> object:
    """This rank's share of a state that `concatenated` returned."""
    if isinstance(state, dict):
        return {key: share_of(value, ranks) for key, value in state.items()}
    return state[ranks.own(len(state))] if isinstance(state, list | np.ndarray | Tensor) else state
