"""Validates saved state, which may contain anything: each function returns the type that it names, or raises Misfit."""

import math
import reprlib
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_MAX_WHOLE = 2**62


class Misfit(ValueError):
    """Saved state does not have the required form; the message says where, and what was expected."""


def mapping(value: object, where: str, keys: Iterable[str] | None = None) -> dict[str, object]:
    """A dict with string keys; keys: exactly the keys that it must have."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _misfit(value, where, "a mapping with text as keys")
    if keys is not None and value.keys() != set(keys):
        wrong = sorted(value.keys() ^ set(keys))[0]
        raise Misfit(f"{where} {'has an unknown' if wrong in value else 'lacks'} {wrong!r}")
    return dict(value)


def sequence(value: object, where: str, length: int | None = None) -> list[object]:
    """A list or tuple; length: the required length."""
    if not isinstance(value, list | tuple) or length not in (None, len(value)):
        raise _misfit(value, where, "a list" if length is None else f"a list of {length}")
    return list(value)


def text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise _misfit(value, where, "text")
    return value


def whole(value: object, where: str, least: int = 0, most: int = _MAX_WHOLE) -> int:
    """An integer within these bounds."""
    if type(value) is not int or not least <= value <= most:
        raise _misfit(value, where, f"a whole number of at least {least}")
    return value


def number(value: object, where: str, least: float = -math.inf) -> float:
    """A finite number of at least `least`."""
    if type(value) not in (int, float) or not math.isfinite(value) or value < least:  # type: ignore[arg-type, operator]
        raise _misfit(value, where, "a finite number" + (f" of at least {least:g}" if math.isfinite(least) else ""))
    return value  # type: ignore[return-value]


def tensor(value: object, where: str, dtype: torch.dtype, shape: Iterable[int | None]) -> Tensor:
    """A tensor without NaN; None in the shape allows any size."""
    found = tensor_with_nan(value, where, dtype, shape)
    if bool(found.isnan().any()):
        raise Misfit(f"{where} holds NaN")
    return found


def tensor_with_nan(value: object, where: str, dtype: torch.dtype, shape: Iterable[int | None]) -> Tensor:
    """A tensor that may hold NaN; None in the shape allows any size."""
    wanted = tuple(shape)
    if not isinstance(value, Tensor) or value.dtype != dtype or not _matches(value.shape, wanted):
        raise _misfit(value, where, f"a tensor {_form(str(dtype).removeprefix('torch.'), wanted)}")
    return value


def array(value: object, where: str, dtype: np.dtype[np.generic], shape: Iterable[int | None]) -> NDArray[np.generic]:
    """An array of finite numbers; None in the shape allows any size."""
    wanted = tuple(shape)
    if not isinstance(value, np.ndarray) or value.dtype != dtype or not _matches(value.shape, wanted):
        raise _misfit(value, where, f"an array {_form(str(dtype), wanted)}")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise Misfit(f"{where} holds NaN or infinity")
    return value


def shown(value: object) -> str:
    """A one-line description of any value."""
    if isinstance(value, Tensor | np.ndarray):
        return _form(str(value.dtype).removeprefix("torch."), tuple(value.shape))
    try:
        return " ".join(reprlib.repr(value).split())[:120]
    except ValueError:  # integer with thousands of digits
        return f"a {type(value).__name__} too long to print"


def _matches(shape: Iterable[int], wanted: tuple[int | None, ...]) -> bool:
    own = tuple(shape)
    return len(own) == len(wanted) and all(size in (None, actual) for size, actual in zip(wanted, own, strict=True))


def _form(dtype: str, shape: tuple[int | None, ...]) -> str:
    return f"{dtype}[{', '.join('any' if size is None else str(size) for size in shape)}]"


def _misfit(value: object, where: str, wanted: str) -> Misfit:
    return Misfit(f"{where} is {shown(value)}; it must be {wanted}")
