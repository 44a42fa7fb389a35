"""Random changes to nested data, for files with a valid checksum but wrong content."""

import random
from collections.abc import Iterator

import numpy as np
import torch

Path = tuple[object, ...]
STRANGE = (
    None, True, -1, 0, 1, 7, 2**31, 2**63, -(2**70), 10**5000, 0.5, -2.5, float("nan"), float("inf"), "", "x", "a:b",
    "γ\n", b"\x00", [], [1], {}, {"a": 1}, {1: 2}, (), torch.zeros(0), torch.tensor(float("nan")), torch.ones(2, 3, 1),
    torch.zeros(3, dtype=torch.int64), torch.zeros(2, dtype=torch.complex64), np.zeros(0), np.ones((1, 2), np.uint8),
)  # fmt: skip


def paths(content: object, prefix: Path = ()) -> Iterator[Path]:
    """The position of every value inside dicts, lists and tuples."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if is_list(content) else ()
    for key, value in inner:
        yield (*prefix, key)
        yield from paths(value, (*prefix, key))


def is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def mutated(content: object, path: Path, draw: random.Random) -> object:
    """A copy with one change at this position: removed, renamed, repeated, replaced, or another size, type or value."""
    key, *rest = path
    copy = dict(content) if isinstance(content, dict) else list(content)
    if rest:
        copy[key] = mutated(copy[key], tuple(rest), draw)
    else:
        change = draw.random()
        if change < 0.1:
            del copy[key]
        elif change < 0.15 and isinstance(copy, dict):
            copy[f"{key}x"] = copy.pop(key)
        elif change < 0.15:
            copy.insert(key, copy[key])
        elif change < 0.2 and isinstance(copy, dict):
            copy["unknown"] = copy[key]
        elif change < 0.5:
            copy[key] = draw.choice(STRANGE)
        else:
            copy[key] = near(copy[key], draw)
    return tuple(copy) if isinstance(content, tuple) else copy


def near(value: object, draw: random.Random) -> object:
    """A value similar to this one in type, shape or size."""
    if isinstance(value, torch.Tensor):
        return near_tensor(value, draw)
    if isinstance(value, np.ndarray):
        changed = near_tensor(torch.from_numpy(value.copy()), draw)
        return changed if changed.dtype == torch.bfloat16 else changed.numpy()
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return draw.choice([not value, str(value), [value], f"{value} "])
    if isinstance(value, int | float):
        return draw.choice([-value, value + 1, value * 2**40, float(value), str(value), [value]])
    if isinstance(value, list | tuple):
        return draw.choice([tuple(value), list(value), value[:-1], [*value, *value], dict(enumerate(value))])
    return draw.choice([list(value.values()) if isinstance(value, dict) else value, {}, str(value)[:99]])


def near_tensor(value: torch.Tensor, draw: random.Random) -> torch.Tensor:
    flat = value.flatten()
    changed = flat.clone()
    if len(flat):
        changed[draw.randrange(len(flat))] = draw.choice([0, 1, 255] if value.dtype == torch.uint8 else [-5, 7])
    filled = changed.reshape(value.shape)
    changes = [filled, flat, value[None], flat[:-1], torch.cat([flat, flat]), value.double(), value.to(torch.bfloat16)]
    if value.is_floating_point():
        changes += [torch.full_like(value, x) for x in (float("nan"), float("inf"), -1.0)] + [value * 1e30]
    return draw.choice(changes).clone()
