"""The state of a Python environment as plain data, which a checkpoint can hold and load without running code.

Every layer, from the outermost wrapper to the environment itself, is read attribute by attribute. Numbers, text,
arrays, containers of these, and NumPy generators (also those of spaces) are state; spaces, specs, functions and the
wrapped environment are structure, which the constructor rebuilds. Anything else (a physics engine, say) cannot be
captured. State outside the attributes (global generators, closures, class attributes) is not captured.
"""

from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import cast

import gymnasium as gym
import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec

Encoded = tuple[str, object]
_STRUCTURE = (gym.Space, EnvSpec, FunctionType, MethodType, BuiltinFunctionType, ModuleType, type)
_SKIP: Encoded = ("structure", None)


class NotPlainData(TypeError):
    """An attribute holds an object whose state cannot be read as data."""


def capture(env: gym.Env[object, object]) -> list[dict[str, Encoded]] | None:
    """A dict of encoded attributes per layer, outermost first; None if some attribute is not plain data."""
    own, seen, layers = layers_of(env), set[int](), list[dict[str, Encoded]]()
    try:
        for layer in own:
            state = {name: value for name, value in vars(layer).items() if not any(value is inner for inner in own)}
            encoded = {name: _encode(value, seen) for name, value in state.items()}
            layers.append({name: value for name, value in encoded.items() if value is not _SKIP})
    except (NotPlainData, TypeError, ValueError):  # torch raises the latter two for a dtype that it lacks
        return None
    return layers


def restore(env: gym.Env[object, object], layers: list[dict[str, Encoded]]) -> None:
    """Writes captured attributes back. Raises ValueError if the environment has another number of layers."""
    own = layers_of(env)
    if len(own) != len(layers):
        raise ValueError(f"the environment has {len(own)} layers, its saved state has {len(layers)}")
    for layer, attributes in zip(own, layers, strict=True):
        for name, (kind, value) in attributes.items():
            if kind == "space":  # keeps its identity; only its generator is restored
                getattr(layer, name)._np_random = _decode(("rng", value))
            else:
                setattr(layer, name, _decode((kind, value)))


def layers_of(env: gym.Env[object, object]) -> list[gym.Env[object, object]]:
    """The environment and everything it wraps, outermost first."""
    layers = [env]
    while isinstance(layers[-1], gym.Wrapper):
        layers.append(layers[-1].env)
    return layers


def _encode(value: object, seen: set[int]) -> Encoded:
    """seen: ids of the mutable objects met so far, since an object that two attributes share would come back as two."""
    if value is None or type(value) in (bool, int, float, str):  # not subclasses: an IntEnum, say, would need its class
        return ("plain", value)
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return ("scalar", torch.from_numpy(np.array(value)))
    if isinstance(value, gym.Space) and value._np_random is not None:
        return ("space", _encode(value._np_random.bit_generator.state, set()))
    if _is_structure(value):
        return _SKIP
    _meet(value, seen)
    if type(value) is np.ndarray and value.dtype.kind in "biuf":
        return ("array", torch.from_numpy(np.array(value, copy=True)))
    if type(value) is np.ndarray and value.dtype.kind in "SU":
        return ("text", [_encode(value.dtype.str, seen), _encode(value.tolist(), set())])
    if type(value) is np.random.Generator:
        return ("rng", _encode(value.bit_generator.state, set()))
    if type(value) is bytes:
        return ("bytes", list(value))
    return _encode_container(value, seen)


def _encode_container(value: object, seen: set[int]) -> Encoded:
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        parts = [_encode(item, seen) for item in value]
        return _SKIP if _structural(parts) else (type(value).__name__, parts)
    if type(value) is dict:
        pairs = [(_encode(k, seen), _encode(v, seen)) for k, v in value.items()]
        return _SKIP if _structural([v for _, v in pairs]) else ("dict", pairs)
    raise NotPlainData(type(value).__name__)


def _is_structure(value: object) -> bool:
    """Whether the constructor rebuilds the value. Raises NotPlainData for a bound method, whose object has state."""
    if isinstance(value, MethodType) and not isinstance(value.__self__, gym.Env):
        raise NotPlainData("a method of another object")
    return isinstance(value, _STRUCTURE)


def _structural(parts: list[Encoded]) -> bool:
    """Whether a container holds structure only. Raises NotPlainData if it mixes structure and state."""
    skipped = sum(part is _SKIP or part[0] == "space" for part in parts)
    if 0 < skipped < len(parts):
        raise NotPlainData("a container of structure and state")
    return skipped > 0


def _meet(value: object, seen: set[int]) -> None:
    owner = value
    while isinstance(owner, np.ndarray) and owner.base is not None:  # views share their owner's memory
        owner = owner.base
    if not isinstance(value, tuple | bytes):
        if id(owner) in seen:
            raise NotPlainData(f"two attributes share one {type(value).__name__}")
        seen.add(id(owner))


def _decode(encoded: Encoded) -> object:
    kind, value = encoded
    if kind == "plain":
        return value
    if kind in ("array", "scalar"):
        array = cast(torch.Tensor, value).numpy().copy()
        return array if kind == "array" else array[()]
    if kind == "bytes":
        return bytes(cast("list[int]", value))
    if kind == "text":
        dtype, items = (_decode(part) for part in cast("list[Encoded]", value))
        return np.array(items, cast(str, dtype))
    if kind == "rng":
        state = cast("dict[str, object]", _decode(cast(Encoded, value)))
        bit_generator = {
            "PCG64": np.random.PCG64,
            "PCG64DXSM": np.random.PCG64DXSM,
            "MT19937": np.random.MT19937,
            "Philox": np.random.Philox,
            "SFC64": np.random.SFC64,
        }[str(state["bit_generator"])]()
        bit_generator.state = state
        return np.random.Generator(bit_generator)
    if kind == "dict":
        return {_decode(k): _decode(v) for k, v in cast("list[tuple[Encoded, Encoded]]", value)}
    items = [_decode(v) for v in cast("list[Encoded]", value)]
    return items if kind == "list" else tuple(items)
