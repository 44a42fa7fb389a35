"""What every function of the package does to its arguments and its result: validation, base, reduction."""

import math
from typing import Literal, NoReturn

import torch
from torch import Tensor

Reduction = Literal["none", "mean", "sum"]

TOLERANCE = 1e-5  # of Σ p = 1, wide enough for a float32 softmax of thousands of actions


def check_logits(name: str, logits: Tensor) -> None:
    """Every row holds a finite logit, and neither NaN nor +inf. Raises ValueError that names argument and row."""
    _check_dense(name, logits)
    if not logits.numel() or all(math.isfinite(bound) for bound in torch.aminmax(logits.detach())):
        return
    peak = logits.amax(-1)  # NaN and +inf come through
    if not bool(torch.isfinite(peak).all()):
        row = _first(~torch.isfinite(peak))
        what = "is illegal in every action (all −inf)" if peak[row] == -math.inf else "holds NaN or +inf"
        _refuse(name, logits, row, f"{what}; each row needs a finite logit, −inf forbids an action")


def check_probabilities(name: str, p: Tensor) -> None:
    """Every row is ≥ 0 and sums to 1 within 1e-5. Raises ValueError that names argument and row."""
    _check_dense(name, p)
    check_unit_interval(name, p)
    total = p.double().sum(-1)
    off = (total - 1).abs() > TOLERANCE
    if bool(off.any()):
        row = _first(off)
        _refuse(
            name, p, row, f"sums to {float(total[row]):.7g}; probabilities sum to 1 (logits have their own functions)"
        )


def check_unit_interval(name: str, p: Tensor) -> None:
    """Every entry is in [0, 1], up to rounding. Raises ValueError that names argument and entry."""
    _check_floating(name, p)
    bad = ~((p >= 0) & (p <= 1 + TOLERANCE))  # NaN compares false
    if bool(bad.any()):
        entry = _first(bad)
        _refuse(name, p, entry, f"is {float(p[entry]):g}; a probability lies between 0 and 1")


def check_numbers(name: str, x: Tensor, infinite: bool = False) -> None:
    """No NaN, and no infinity unless it is allowed. Raises ValueError that names argument and entry."""
    _check_floating(name, x)
    bad = x.isnan() if infinite else ~torch.isfinite(x)
    if bool(bad.any()):
        entry = _first(bad)
        _refuse(name, x, entry, f"is {float(x[entry]):g}; {'a number' if infinite else 'a finite number'} is needed")


def check_broadcast(first_name: str, first: Tensor, second_name: str, second: Tensor, events: int = 1) -> None:
    """Batches broadcast and the last `events` dimensions are equal. Raises ValueError that names both."""
    shapes = f"{first_name} of shape {tuple(first.shape)} and {second_name} of shape {tuple(second.shape)}"
    if min(first.ndim, second.ndim) < events:
        raise ValueError(f"{shapes} need at least {events} dimension{'s' if events > 1 else ''}")
    if first.shape[first.ndim - events :] != second.shape[second.ndim - events :]:
        raise ValueError(f"{shapes} differ in shape: the last dimension must be equal")
    try:
        torch.broadcast_shapes(first.shape, second.shape)  # type: ignore[no-untyped-call]
    except RuntimeError:
        raise ValueError(f"{shapes} differ in shape and do not broadcast") from None


def finish(value: Tensor, base: float, reduction: Reduction) -> Tensor:
    """From nats to the unit of `base`, and over the batch."""
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


def _check_dense(name: str, x: Tensor) -> None:
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
