"""A checkpoint's content as torch's safe loader accepts it, and back from what that loader returns."""

import sys
from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor

from envs import saved

_OF_NUMPY = {torch.from_numpy(np.zeros(0, kind)).dtype for kind in "?bhilBHILefdFD"}


def to_tensors(value: object) -> object:
    """Converts NumPy arrays to tagged tensors, which torch's safe loader accepts.

    Equal content gives equal files: text is interned, since pickle stores a repeated object once. Tensors are copied to
    the CPU, since they may be views of an engine's memory. Raises Misfit for a value of another kind.
    """
    kind = type(value)
    if kind is float or kind is int:  # most values; an isinstance check of an abstract class is slower
        return value
    if kind is str:
        return sys.intern(cast(str, value))
    if isinstance(value, Tensor) and value.layout == torch.strided:
        value = value.detach() if value.device.type == "cpu" else value.detach().cpu()
        return value.clone(memory_format=torch.contiguous_format)
    if isinstance(value, np.generic) and value.dtype.kind in "biufUS":
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return {"__ndarray__": torch.from_numpy(value.copy())}
    if isinstance(value, dict | Mapping):
        items = {to_tensors(key): to_tensors(item) for key, item in value.items()}
        if wrong := [key for key in items if type(key) not in (str, int)]:
            raise saved.Misfit(f"a mapping with the key {saved.shown(wrong[0])}; take text")
        return items
    if isinstance(value, list | tuple):
        parts = map(to_tensors, value)
        return list(parts) if isinstance(value, list) else tuple(parts)
    if value is None or kind in (bool, bytes):
        return value
    raise saved.Misfit(f"a {kind.__name__}, {saved.shown(value)}")


def from_tensors(value: object) -> object:
    """The content that `to_tensors` converted. Raises Misfit for a value that it never returns: a file may hold any."""
    return _decoded(value, set())


def _decoded(value: object, seen: set[int]) -> object:
    """seen: ids of the containers so far. A repeated one could take exponential time, or never end."""
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if isinstance(value, Tensor):
        return _checked_tensor(value)
    if value and id(value) in seen:
        raise saved.Misfit(f"a {type(value).__name__} that occurs twice")
    seen.add(id(value))
    if isinstance(value, dict) and all(type(key) in (str, int) for key in value):
        if value.keys() != {"__ndarray__"}:
            return {key: _decoded(item, seen) for key, item in value.items()}
        if isinstance(value["__ndarray__"], Tensor) and value["__ndarray__"].dtype in _OF_NUMPY:
            return _checked_tensor(value["__ndarray__"]).numpy()
    if type(value) in (list, tuple):
        return type(value)(_decoded(item, seen) for item in cast("list[object]", value))  # type: ignore[call-arg]
    raise saved.Misfit(saved.shown(value))


def _checked_tensor(value: Tensor) -> Tensor:
    """Raises Misfit unless the tensor is plain memory in which every element exists."""
    plain = value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized
    if not plain or value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise saved.Misfit(f"a tensor {saved.shown(value)} without memory of its own")
    return value.detach()
