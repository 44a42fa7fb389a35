"""Encodes values as plain data that a checkpoint can store, and decodes them.

Numbers, text, arrays, containers of these, and NumPy generators (also those of spaces) are state. Spaces, specs and
functions are structure, which a constructor rebuilds. Anything else is not plain data.
"""

import re
from collections import deque
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import NamedTuple, cast

import gymnasium as gym
import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec

from envs import saved
from envs.spaces import Array

Encoded = tuple[str, object]
STRUCTURE: Encoded = ("structure", None)
_STRUCTURES = (gym.Space, EnvSpec, FunctionType, MethodType, BuiltinFunctionType, ModuleType, type)
GENERATORS = "generators"  # of a space and of all spaces in it
_CONTAINERS = ("list", "tuple", "dict", "deque", GENERATORS)
_MUTABLE = ("array", "text", "rng", "list", "dict", "deque")  # kinds whose objects several attributes may share
_BIT_GENERATORS: dict[str, type[np.random.BitGenerator]] = {
    "PCG64": np.random.PCG64,
    "PCG64DXSM": np.random.PCG64DXSM,
    "MT19937": np.random.MT19937,
    "Philox": np.random.Philox,
    "SFC64": np.random.SFC64,
}


class NotPlainData(TypeError):
    """An attribute holds an object whose state cannot be encoded."""


NOT_PLAIN = (NotPlainData, TypeError, ValueError)  # torch raises the latter two for unsupported dtypes


class Seen(NamedTuple):
    """The mutable objects encoded so far: an object that two attributes share must be decoded as one object."""

    numbers: dict[int, int]  # id → position in the order of encoding
    blocked: set[int]  # ids of unfinished containers, and of arrays of which a view was encoded


def encode(value: object, seen: Seen | None = None) -> Encoded:
    """The value as plain data, or STRUCTURE. Raises one of NOT_PLAIN if it is neither."""
    seen = Seen({}, set()) if seen is None else seen
    if value is None or type(value) in (bool, int, float, str):  # not subclasses: an IntEnum needs its class
        return ("plain", value)
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return ("scalar", torch.from_numpy(np.array(value)))
    if isinstance(value, gym.Space) and any(space._np_random is not None for space in spaces_in(value)):
        return (GENERATORS, [encode(space._np_random, seen) for space in spaces_in(value)])
    if type(value) is bytes:
        return ("bytes", list(value))
    if _is_structure(value):
        return STRUCTURE
    if id(value) in seen.numbers:
        return ("shared", seen.numbers[id(value)])
    if id(value) in seen.blocked:
        raise NotPlainData("a container of itself, or an array with a view of it")
    encoded = _encode_object(value, seen)
    if encoded[0] in _MUTABLE:
        seen.numbers[id(value)] = len(seen.numbers)
    return encoded


def _encode_object(value: object, seen: Seen) -> Encoded:
    if type(value) is np.ndarray:
        _block_owner(value, seen)
        if value.dtype.kind in "biuf":
            return ("array", torch.from_numpy(np.array(value, copy=True)))
        if value.dtype.kind in "SU":
            return ("text", [encode(value.dtype.str), encode(value.tolist())])
    if type(value) is np.random.Generator:
        return ("rng", encode(value.bit_generator.state))
    if isinstance(value, list | tuple | dict | deque):
        seen.blocked.add(id(value))
        encoded = _encode_container(value, seen)
        seen.blocked.remove(id(value))
        return encoded
    raise NotPlainData(type(value).__name__)


def _encode_container(value: object, seen: Seen) -> Encoded:
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        parts = [encode(item, seen) for item in value]
        return STRUCTURE if _structural(parts) else (type(value).__name__, parts)
    if type(value) is deque:
        items = encode(tuple(value), seen)
        return STRUCTURE if items is STRUCTURE else ("deque", [encode(value.maxlen), items])
    if type(value) is dict:
        pairs = [(encode(k, seen), encode(v, seen)) for k, v in value.items()]
        return STRUCTURE if _structural([v for _, v in pairs]) else ("dict", pairs)
    raise NotPlainData(type(value).__name__)


def _block_owner(value: Array, seen: Seen) -> None:
    """Raises NotPlainData for a view that shares memory with an object encoded before, or with one that is no array."""
    owner: object = value
    while isinstance(owner, np.ndarray) and owner.base is not None:
        owner = owner.base
    if owner is value:
        return
    if not isinstance(owner, np.ndarray | bytes) or id(owner) in seen.numbers or id(owner) in seen.blocked:
        raise NotPlainData("an array over another object's memory")
    seen.blocked.add(id(owner))


def _is_structure(value: object) -> bool:
    """Whether a constructor rebuilds the value. Raises NotPlainData for a bound method, whose object has state."""
    if isinstance(value, MethodType) and not isinstance(value.__self__, gym.Env):
        raise NotPlainData("a method of another object")
    if type(value) is partial:
        return all(map(_is_fixed, (value.func, *value.args, *value.keywords.values())))
    return isinstance(value, _STRUCTURES)


def _is_fixed(value: object) -> bool:
    return value is None or type(value) in (bool, int, float, str) or _is_structure(value)


def _structural(parts: list[Encoded]) -> bool:
    """Whether a container holds only structure. Raises NotPlainData if it mixes structure and state, as spaces with
    generators do."""
    skipped = sum(part is STRUCTURE for part in parts)
    if 0 < skipped < len(parts) or any(part[0] == GENERATORS for part in parts):
        raise NotPlainData("a container of structure and state")
    return skipped > 0


def spaces_in(space: gym.Space[object]) -> list[gym.Space[object]]:
    """The space and all spaces in it, in a fixed order."""
    found = [space]
    for value in vars(space).values():
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
        found += [inner for part in parts if isinstance(part, gym.Space) for inner in spaces_in(part)]
    return found


def mutable_objects(value: object) -> list[object]:
    """The mutable objects in a value that is not plain data: containers, their content, and objects of other types."""
    found, todo = dict[int, object](), [value]
    while todo:
        item = todo.pop()
        if isinstance(item, MethodType):
            item = item.__self__
        if id(item) in found or isinstance(item, np.generic | bytes) or _is_fixed(item):
            continue
        if not isinstance(item, tuple):
            found[id(item)] = item
        todo += [*item, *item.values()] if isinstance(item, dict) else []
        todo += item if isinstance(item, list | tuple | set | frozenset | deque) else []
    return list(found.values())


def fingerprint(encoded: object) -> str:
    """A text that is equal exactly for bitwise equal plain data."""
    if isinstance(encoded, torch.Tensor):
        return f"{encoded.dtype}{tuple(encoded.shape)}{encoded.numpy().tobytes().hex()}"
    if isinstance(encoded, list | tuple):
        return f"[{','.join(map(fingerprint, encoded))}]"
    return repr(encoded)


def kind_of(encoded: object) -> str:
    return saved.text(saved.sequence(encoded, "snapshot", 2)[0], "snapshot")


def decode(encoded: object, shared: list[object]) -> object:
    """The encoded value; for a space, the list of its generators. shared: the mutable objects decoded so far, in order.

    Raises Misfit, TypeError, ValueError, LookupError, AttributeError, OverflowError or RuntimeError if `encode` cannot
    have returned it.
    """
    kind, value = saved.sequence(encoded, "snapshot", 2)
    if kind == "shared":
        return shared[saved.whole(value, "snapshot", 0)]
    decoded = _decode_container(str(kind), value, shared) if kind in _CONTAINERS else _decode_leaf(kind, value)
    if kind in _MUTABLE:
        shared.append(decoded)
    return decoded


def _decode_leaf(kind: object, value: object) -> object:
    if kind == "plain" and (value is None or type(value) in (bool, int, float, str)):
        return value
    if kind in ("array", "scalar") and isinstance(value, torch.Tensor) and (kind == "array" or not value.ndim):
        array = value.numpy().copy()
        if array.dtype.kind in "biuf":
            return array if kind == "array" else array[()]
    if kind == "bytes":
        return bytes(saved.whole(part, "snapshot", 0, 255) for part in saved.sequence(value, "snapshot"))
    if kind == "text":
        dtype, items = (decode(part, []) for part in saved.sequence(value, "snapshot", 2))
        if re.fullmatch(r"[<>|=]?[SU]\d{1,4}", saved.text(dtype, "snapshot")):
            return np.array(items, cast(str, dtype))
    if kind in ("rng", "space"):  # "space": of a checkpoint that holds a space's own generator only
        generator = _generator(saved.mapping(decode(value, []), "snapshot"))
        return generator if kind == "rng" else [generator]
    raise saved.Misfit(f"snapshot holds {saved.shown((kind, value))}, which is not the state of an environment")


def _decode_container(kind: str, value: object, shared: list[object]) -> object:
    parts = saved.sequence(value, "snapshot")
    if kind == "dict":
        pairs = [saved.sequence(pair, "snapshot", 2) for pair in parts]
        return {decode(key, shared): decode(item, shared) for key, item in pairs}
    items = [decode(part, shared) for part in parts]
    if kind == "deque":
        length, held = saved.sequence(items, "snapshot", 2)
        return deque(saved.sequence(held, "snapshot"), None if length is None else saved.whole(length, "snapshot"))
    if kind == GENERATORS and not all(x is None or isinstance(x, np.random.Generator) for x in items):
        raise saved.Misfit(f"snapshot holds {saved.shown(items)}, which are not generators")
    return tuple(items) if kind == "tuple" else items


def _generator(state: dict[str, object]) -> np.random.Generator:
    """A generator in this state; checks the buffer positions, which NumPy does not check."""
    bit_generator = _BIT_GENERATORS[saved.text(state["bit_generator"], "snapshot")]()
    if isinstance(bit_generator, np.random.MT19937):
        saved.whole(saved.mapping(state["state"], "snapshot")["pos"], "snapshot", 0, 624)
    if isinstance(bit_generator, np.random.Philox):
        saved.whole(state["buffer_pos"], "snapshot", 0, 4)
    bit_generator.state = state
    return np.random.Generator(bit_generator)
