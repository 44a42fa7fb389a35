"""Validation of arguments, and the base and reduction of results."""

import math
from collections.abc import Mapping
from typing import Literal, NoReturn

import numpy as np
import torch
from torch import Tensor

Reduction = Literal["none", "mean", "sum"]
TOLERANCE = 1e-5  # of Σ p = 1; admits a float32 softmax of thousands of actions


def check_logits(name: str, logits: Tensor) -> None:
    """Every row has a finite logit, no NaN and no +inf. Raises ValueError that names the argument and the row."""
    check_vectors(name, logits)
    if not logits.numel() or all(math.isfinite(bound) for bound in torch.aminmax(logits.detach())):
        return
    peak = logits.amax(-1)  # NaN and +inf propagate
    if not bool(torch.isfinite(peak).all()):
        row = _first(~torch.isfinite(peak))
        what = "is illegal in every action (all −inf)" if peak[row] == -math.inf else "holds NaN or +inf"
        _refuse(name, logits, row, f"{what}; each row needs a finite logit, −inf forbids an action")


def check_probabilities(name: str, p: Tensor) -> None:
    """Every row is ≥ 0 and sums to 1 within 1e-5. Raises ValueError that names the argument and the row."""
    check_vectors(name, p)
    check_unit_interval(name, p)
    total = p.detach().double().sum(-1)
    off = (total - 1).abs() > TOLERANCE
    if bool(off.any()):
        row = _first(off)
        why = f"sums to {float(total[row]):.7g}; probabilities sum to 1 (for logits, use the *_from_logits functions)"
        _refuse(name, p, row, why)


def check_normalized(name: str, log_p: Tensor) -> None:
    """Every row of e^{log_p} sums to 1 within 1e-4. Raises ValueError that names the argument and the row."""
    total = log_p.detach().double().exp().sum(-1)
    off = ~((total - 1).abs() < 10 * TOLERANCE)
    if bool(off.any()):
        row = _first(off)
        why = f"is not normalized: probabilities sum to {float(total[row]):.4g}; for logits, use cross_entropy_loss"
        _refuse(name, log_p, row, why)


def check_indices(name: str, index: Tensor, size: int) -> None:
    """Every entry is in [0, size). Raises ValueError that names the argument and the entry."""
    bad = (index < 0) | (index >= size)
    if bool(bad.any()):
        entry = _first(bad)
        _refuse(name, index, entry, f"is {int(index[entry])}; indices lie between 0 and {size - 1}")


def check_unit_interval(name: str, p: Tensor) -> None:
    """Every entry is in [0, 1], up to rounding. Raises ValueError that names the argument and the entry."""
    _check_floating(name, p)
    bad = ~((p >= 0) & (p <= 1 + TOLERANCE))  # NaN compares false
    if bool(bad.any()):
        entry = _first(bad)
        _refuse(name, p, entry, f"is {float(p[entry].detach()):g}; a probability lies between 0 and 1")


def check_numbers(name: str, x: Tensor, infinite: bool = False) -> None:
    """No NaN, and no infinity unless it is allowed. Raises ValueError that names the argument and the entry."""
    _check_floating(name, x)
    bad = x.isnan() if infinite else ~torch.isfinite(x)
    if bool(bad.any()):
        entry = _first(bad)
        what = "a number" if infinite else "a finite number"
        _refuse(name, x, entry, f"is {float(x[entry].detach()):g}; {what} is needed")


def check_broadcast(events: int, /, **arguments: Tensor) -> None:
    """Batches broadcast; the last `events` (0 or 1) dimensions are equal. Raises ValueError that names the shapes."""
    shapes = [x.shape for x in arguments.values()]
    if events and len({shape[-1:] for shape in shapes}) > 1:
        raise ValueError(f"{_shapes(arguments)} differ in shape: the last dimension must be equal")
    try:
        np.broadcast_shapes(*shapes)  # torch's imports SymPy
    except ValueError:
        raise ValueError(f"{_shapes(arguments)} differ in shape and do not broadcast") from None


def _shapes(arguments: Mapping[str, Tensor]) -> str:
    return " and ".join(f"{name} of shape {tuple(x.shape)}" for name, x in arguments.items())


def finish(value: Tensor, base: float, reduction: Reduction) -> Tensor:
    """Converts nats to the unit of `base` and reduces over the batch."""
    if base != math.e:
        if not (0 < base < math.inf and base != 1):
            raise ValueError(f"base must be positive and not 1, got {base!r}")
        value = value / math.log(base)
    if reduction == "none":
        return value
    if reduction == "mean":
        return value.mean()
    if reduction == "sum":
        return value.sum()
    raise ValueError(f'reduction must be "none", "mean" or "sum", got {reduction!r}')


def check_vectors(name: str, x: Tensor) -> None:
    """Floats with a last dimension that is not empty. Raises ValueError that names the argument."""
    _check_floating(name, x)
    if x.ndim < 1 or x.shape[-1] < 1:
        raise ValueError(f"{name} has shape {tuple(x.shape)}; it needs a last dimension with at least one entry")


def _check_floating(name: str, x: Tensor) -> None:
    if not x.is_floating_point():
        raise ValueError(f"{name} must be a floating-point tensor, got {x.dtype}")


def _first(bad: Tensor) -> tuple[int, ...]:
    return tuple(bad.nonzero()[0].tolist())


def _refuse(name: str, x: Tensor, where: tuple[int, ...], why: str) -> NoReturn:
    place = f"{name}[{', '.join(map(str, where))}]" if where else name
    raise ValueError(f"{place}, of shape {tuple(x.shape)}, {why}")
