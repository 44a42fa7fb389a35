"""Decodes a checkpoint's content from what torch's safe loader returns, which may be anything."""

from typing import cast

import numpy as np
import torch
from torch import Tensor

from envs import saved

_OF_NUMPY = {torch.from_numpy(np.zeros(0, kind)).dtype for kind in "?bhilBHILefdFD"}


def from_tensors(value: object) -> object:
    """Nested dicts, lists and tuples of numbers, text, tensors and NumPy arrays; `agents.checkpoint` writes these.

    Raises Misfit if `agents.checkpoint` never writes such a value.
    """
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
