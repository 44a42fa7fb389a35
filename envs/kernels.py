"""Compiles kernels with Numba: cached on disk, without the GIL, with NumPy's division (1/0 = ∞).

Numba recompiles a kernel when its own file changes, but not when the file of a kernel compiled into it changes. So
a package's kernels are cached in a folder named after a hash of all source files registered for the package and
Numba's version.

Numba unpickles the cached files, so only the user may write to the folder; and Numba does not notice damage, so every
file contains its SHA-256.
"""

import hashlib
import os
import pickle
import shutil
import stat
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar, cast

import numba
from numba import njit, typeof
from numba.core import caching, event
from numba.extending import overload

_Overload = TypeVar("_Overload", bound=Callable[..., object])
_STRICT: Any = {"error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}
_FAST: Any = {**_STRICT, "fastmath": {"reassoc", "contract", "arcp", "nsz"}}
_KEPT = 3  # earlier versions of a package whose folders are kept
_registered: dict[str, list[Path]] = {}


class Kernel(Protocol):
    """A compiled function."""

    def __call__(self, *arguments: Any) -> Any: ...
    def compile(self, signature: tuple[object, ...]) -> "Kernel": ...


def register_sources(package: str, files: Iterable[Path]) -> None:
    """Registers all files whose code or constants are compiled into a package's kernels, before they are defined."""
    _registered[package] = sorted(files)


def sources_of(function: Callable[..., object]) -> tuple[str, list[Path]]:
    """A kernel's package and its registered files; without registered files, its module and its own file."""
    module = function.__module__
    package = module.rpartition(".")[0]
    if package in _registered:
        return package, _registered[package]
    return module, [Path(function.__code__.co_filename)]


def kernel(function: Callable[..., object]) -> Kernel:
    """Compiles strictly: every operation as written.

    The kernel counts no references to arrays, because counting slows small updates. So it cannot make an array, only
    views of its arguments, and it must return numbers to Python.
    """
    return _cached(function, njit(nogil=True, **_STRICT)(function))


def allocating_kernel(function: Callable[..., object]) -> Kernel:
    """`kernel` for a function that creates arrays. It must not return any: other kernels would never free them."""
    return _cached(function, njit(nogil=True, **{**_STRICT, "_nrt": True})(function))


def fast_kernel(function: Callable[..., object]) -> Kernel:
    """Lets the compiler reorder sums and replace quotients by products; NaN and infinity keep their meaning."""
    return _cached(function, njit(nogil=True, **_FAST)(function))


def overload_of(function: Callable[..., object], fast: bool = False) -> Callable[[_Overload], _Overload]:
    """`numba.extending.overload` for kernels; fast: with the options of `fast_kernel`."""
    options: Any = {**(_FAST if fast else _STRICT), "no_cpython_wrapper": True}
    decorated: Callable[[_Overload], _Overload] = overload(function, jit_options=options)
    return decorated


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
def _cache_folder(package: str, sources: tuple[Path, ...]) -> str | None:
    """The folder of this version: beside this package, else in the user's cache, else a temporary one.

    None, with a warning, if none of them can be private to this user.
    """
    here = Path(__file__)
    texts = [numba.__version__.encode(), *(source.read_bytes() for source in (here, *sources))]
    digest = hashlib.sha256(b"".join(texts)).hexdigest()[:16]
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    given = os.environ.get("NUMBA_CACHE_DIR")
    roots = [Path(given)] if given else [here.parent / "__pycache__", Path(home), Path(tempfile.gettempdir())]
    for root in roots:
        try:
            folder = _private_folder(root) / package / digest
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        others = sorted(folder.parent.iterdir(), key=lambda other: other.stat().st_mtime)
        for old in [other for other in others if other != folder][:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        return str(folder)
    tried = ", ".join(map(str, roots))
    warnings.warn(
        f"kernels are compiled anew in every process: no folder in {tried} can be written to by this user alone; "
        "set NUMBA_CACHE_DIR to one that can",
        RuntimeWarning, stacklevel=2,
    )  # fmt: skip
    return None


def _private_folder(root: Path) -> Path:
    """A folder in root that only this user can access. Raises OSError if it cannot be created, or exists otherwise."""
    if not hasattr(os, "getuid"):  # Windows: the roots are private
        return root / "actor-critic-kernels"
    folder = root / f"actor-critic-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not a folder of this user alone")
    return folder


class _Locator(caching._CacheLocator):
    def __init__(self, function: Callable[..., object]) -> None:
        self._line = function.__code__.co_firstlineno
        package, sources = sources_of(function)
        self._folder = _cache_folder(package, tuple(sources))

    def get_cache_path(self) -> str:
        assert self._folder is not None  # `_cached` checks this first
        return self._folder

    def get_source_stamp(self) -> str:
        return ""  # the folder's name contains the hash of the sources

    def get_disambiguator(self) -> str:
        return str(self._line)

    @classmethod
    def from_function(cls, function: Callable[..., object], _: str) -> Self:
        return cls(function)


class _Impl(caching.CompileResultCacheImpl):
    _locator_classes = [_Locator]  # type: ignore[list-item]  # noqa: RUF012


class _Files(caching.IndexDataCacheFile):
    """Files with a SHA-256 checksum. A damaged file, for instance after a power failure, is written again."""

    def _dump(self, obj: object) -> bytes:
        data: bytes = super()._dump(obj)  # type: ignore[no-untyped-call]
        return hashlib.sha256(data).digest() + data

    def _load_data(self, name: str) -> object:
        return _unpickled((Path(self._cache_path) / name).read_bytes(), self._cache_path)

    def _load_index(self) -> dict[object, str]:
        try:
            raw = Path(self._index_path).read_bytes().removeprefix(pickle.dumps(self._version, protocol=-1))
            return cast("tuple[str, dict[object, str]]", _unpickled(raw, self._cache_path))[1]
        except OSError:
            return {}


def _unpickled(raw: bytes, folder: str) -> object:
    """The object given to `_Files._dump`. Raises OSError, with a warning, if the bytes are damaged."""
    if hashlib.sha256(raw[32:]).digest() != raw[:32]:
        warnings.warn(f"damaged kernels are compiled anew; they are in {folder}", RuntimeWarning, stacklevel=2)
        raise OSError("wrong checksum")
    content: object = pickle.loads(raw[32:])
    return content


class _Cache(caching.FunctionCache):
    _impl_class = _Impl

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, "")  # type: ignore[no-untyped-call]

    def save_overload(self, signature: object, compiled: object) -> None:
        try:
            super().save_overload(signature, compiled)  # type: ignore[no-untyped-call]
        except OSError as error:
            warnings.warn(f"compiled kernels cannot be kept: {error}", RuntimeWarning, stacklevel=2)


def _cached(function: Callable[..., object], dispatcher: Any) -> Kernel:
    package, sources = sources_of(function)
    if _cache_folder(package, tuple(sources)) is not None:
        dispatcher._cache = _Cache(function)
    return cast(Kernel, dispatcher)
