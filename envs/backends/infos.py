"""`LazyInfos`: the infos of a step, merged over the environments when they are first read."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from envs.backends.base import Infos
from envs.backends.guard import NUMBERS


class LazyInfos(dict[str, Any]):
    """Like Gymnasium's merged infos. Training does not read them, and merging MuJoCo's takes a fifth of a step.

    Entries that were set before the first reading win over merged ones.
    """

    def __init__(self, rows: Sequence[Infos], merge: Callable[[Sequence[Infos]], Infos]) -> None:
        """rows: the infos of each environment, for which `fits` is true."""
        super().__init__()
        self._rows, self._merge = [dict(row) for row in rows], merge  # an environment may return the same dict again

    @staticmethod
    def fits(rows: Sequence[Infos]) -> bool:
        """Whether all have the same keys, at least one, and numbers only, which later steps cannot change."""
        names = rows[0].keys()
        return bool(names) and all(row.keys() == names and NUMBERS.issuperset(map(type, row.values())) for row in rows)

    def fill(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            self.update({**self._merge(rows), **dict.copy(self)})

    def __missing__(self, name: str) -> Any:
        self.fill()
        if dict.__contains__(self, name):
            return self[name]
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        if dict.__contains__(self, name) or not self._rows:
            return dict.__contains__(self, name)
        return name in self._rows[0] or (isinstance(name, str) and name[:1] == "_" and name[1:] in self._rows[0])

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def _of_all(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def filled(self: LazyInfos, *arguments: Any) -> Any:
        self.fill()
        return method(self, *arguments)

    return filled


for _name in (
    "__delitem__", "__eq__", "__iter__", "__len__", "__ne__", "__or__", "__repr__", "__reversed__", "__ror__", "clear",
    "copy", "get", "items", "keys", "pop", "popitem", "setdefault", "values",
):  # fmt: skip
    setattr(LazyInfos, _name, _of_all(getattr(dict, _name)))
