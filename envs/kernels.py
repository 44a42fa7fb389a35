"""How kernels are compiled: kept on disk, without the interpreter's lock, dividing as NumPy does (1/0 is infinity).

Numba forgets a kernel when its own file changes. Kernels are compiled into one another, so these are kept in a folder
that is named after the text of all of them.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol, Self, cast

from numba import njit, typeof
from numba.core import caching, event

_PACKAGE = Path(__file__).parents[1]

_KEPT = 3  # folders of earlier versions that stay


class Kernel(Protocol):
    """A compiled function."""

    def __call__(self, *arguments: Any) -> Any: ...
    def compile(self, signature: tuple[object, ...]) -> "Kernel": ...


@cache
def _folder() -> str:
    """Where compiled kernels of this version lie: beside the package, or where the user keeps such things."""
    kernels = [*(_PACKAGE / "envs").rglob("*.py"), *(_PACKAGE / "agents/fused").glob("*.py")]
    compiled_in = [
        _PACKAGE / "agents/maths/adaptation.py",
        _PACKAGE / "agents/maths/schedules.py",
    ]  # constants; the value of a schedule
    sources = sorted([*kernels, *compiled_in])
    name = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    given = os.environ.get("NUMBA_CACHE_DIR")
    roots = [Path(given)] if given else [_PACKAGE / "envs/__pycache__", Path(home), Path(tempfile.gettempdir())]
    for root in roots:
        folder = root / "actor-critic-kernels" / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        others = sorted(folder.parent.iterdir(), key=lambda other: other.stat().st_mtime)
        for old in [other for other in others if other != folder][:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        return str(folder)
    raise OSError(f"no folder can be written to for compiled kernels; tried {', '.join(map(str, roots))}")


class _Locator(caching._CacheLocator):
    def __init__(self, line: int) -> None:
        self._line = line

    def get_cache_path(self) -> str:
        return _folder()

    def get_source_stamp(self) -> str:
        return ""  # the folder's name says it

    def get_disambiguator(self) -> str:
        return str(self._line)

    @classmethod
    def from_function(cls, function: Callable[..., object], _: str) -> Self:
        return cls(function.__code__.co_firstlineno)


class _Impl(caching.CompileResultCacheImpl):
    _locator_classes = [_Locator]  # type: ignore[list-item]  # noqa: RUF012


class _Cache(caching.FunctionCache):
    _impl_class = _Impl


def kernel(function: Callable[..., object]) -> Kernel:
    """Compiles strictly: every operation as it is written."""
    return _kept(function, njit(nogil=True, error_model="numpy")(function))


def fast_kernel(function: Callable[..., object]) -> Kernel:
    """Sums may be reordered and quotients multiplied; NaN and infinity stay what they are."""
    fast = njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"})
    return _kept(function, fast(function))


def part(function: Callable[..., object]) -> Kernel:
    """Written into its caller: for what takes much of the memory, since passing on many arrays takes its time."""
    return cast(Kernel, njit(inline="always", error_model="numpy")(function))


def compiled_for(function: Kernel, arguments: tuple[object, ...]) -> Kernel:
    """Compiles or loads the kernel for arguments of these types.

    Returns what takes only such: it does not look, and goes wrong with others.
    """
    return function.compile(tuple(typeof(argument) for argument in arguments))


def _kept(function: Callable[..., object], dispatcher: Any) -> Kernel:
    dispatcher._cache = _Cache(function)  # type: ignore[no-untyped-call]
    return cast(Kernel, dispatcher)


@contextmanager
def compiling(on_begin: Callable[[], None] | None) -> Iterator[None]:
    """Calls on_begin when the first kernel in here is compiled; not if all are loaded from disk."""
    waiting = [on_begin] if on_begin else []

    class Listener(event.Listener):
        def on_start(self, _: object) -> None:
            if waiting:
                waiting.pop()()

        def on_end(self, _: object) -> None: ...

    with event.install_listener("numba:compile", Listener()):
        yield
