"""How Numba compiles kernels: cached on disk, without the interpreter's lock, dividing as NumPy does (1/0 = ∞).

Numba recompiles a kernel when its own file changes, but not when the file of a kernel compiled into it does. So the
kernels of a package are cached in a folder named after the text of all source files registered for the package.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol, Self, cast

from numba import njit, typeof
from numba.core import caching, event

_KEPT = 3  # folders of earlier versions of a package that are kept
_registered: dict[str, list[Path]] = {}


class Kernel(Protocol):
    """A compiled function."""

    def __call__(self, *arguments: Any) -> Any: ...
    def compile(self, signature: tuple[object, ...]) -> "Kernel": ...


def register_sources(package: str, files: Iterable[Path]) -> None:
    """Names every file whose code or constants are compiled into kernels of this package, before they are defined."""
    _registered[package] = sorted(files)


def sources_of(function: Callable[..., object]) -> tuple[str, list[Path]]:
    """The package of a kernel and its registered files; its module and own file if the package has none."""
    module = function.__module__
    package = module.rpartition(".")[0]
    if package in _registered:
        return package, _registered[package]
    return module, [Path(function.__code__.co_filename)]


def kernel(function: Callable[..., object]) -> Kernel:
    """Compiles strictly: every operation as it is written."""
    return _cached(function, njit(nogil=True, error_model="numpy")(function))


def fast_kernel(function: Callable[..., object]) -> Kernel:
    """Lets the compiler reorder sums and replace quotients by products; NaN and infinity keep their meaning."""
    fast = {"reassoc", "contract", "arcp", "nsz"}
    return _cached(function, njit(nogil=True, error_model="numpy", fastmath=fast)(function))


def inlined(function: Callable[..., object]) -> Kernel:
    """Inlined into its callers, because passing many arrays is slow."""
    return cast(Kernel, njit(inline="always", error_model="numpy")(function))


def compiled_for(function: Kernel, arguments: tuple[object, ...]) -> Kernel:
    """Compiles or loads the kernel for arguments of these types.

    Returns the specialized entry point, which skips type dispatch; arguments of other types are undefined behavior.
    """
    return function.compile(tuple(typeof(argument) for argument in arguments))


@contextmanager
def compiling(on_compile: Callable[[], None] | None) -> Iterator[None]:
    """Calls on_compile before the first kernel is compiled in this context; not if all are loaded from disk."""
    waiting = [on_compile] if on_compile else []

    class Listener(event.Listener):
        def on_start(self, _: object) -> None:
            if waiting:
                waiting.pop()()

        def on_end(self, _: object) -> None: ...

    with event.install_listener("numba:compile", Listener()):
        yield


@cache
def _cache_folder(package: str, sources: tuple[Path, ...]) -> str:
    """The folder of this version: beside this package, or else in the user's cache, or else a temporary one."""
    here = Path(__file__)
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in (here, *sources))).hexdigest()[:16]
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    given = os.environ.get("NUMBA_CACHE_DIR")
    roots = [Path(given)] if given else [here.parent / "__pycache__", Path(home), Path(tempfile.gettempdir())]
    for root in roots:
        folder = root / "actor-critic-kernels" / package / digest
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
    def __init__(self, function: Callable[..., object]) -> None:
        self._line = function.__code__.co_firstlineno
        package, sources = sources_of(function)
        self._folder = _cache_folder(package, tuple(sources))

    def get_cache_path(self) -> str:
        return self._folder

    def get_source_stamp(self) -> str:
        return ""  # the name of the folder stands for the sources

    def get_disambiguator(self) -> str:
        return str(self._line)

    @classmethod
    def from_function(cls, function: Callable[..., object], _: str) -> Self:
        return cls(function)


class _Impl(caching.CompileResultCacheImpl):
    _locator_classes = [_Locator]  # type: ignore[list-item]  # noqa: RUF012


class _Cache(caching.FunctionCache):
    _impl_class = _Impl


def _cached(function: Callable[..., object], dispatcher: Any) -> Kernel:
    dispatcher._cache = _Cache(function)  # type: ignore[no-untyped-call]
    return cast(Kernel, dispatcher)
