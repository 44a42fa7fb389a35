"""The state of a Python environment as plain data, which a checkpoint can hold and load without running code.

Every layer, from the outermost wrapper to the environment itself, is read attribute by attribute. Numbers, text,
arrays, containers of these, and NumPy generators (also those of spaces) are state; spaces, specs, functions and the
wrapped environment are structure, which the constructor rebuilds. Anything else (a physics engine, say) cannot be
captured. State outside the attributes (global generators, closures, class attributes) is not captured.
"""

import re
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import cast

import gymnasium as gym
import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec

from envs import saved

Encoded = tuple[str, object]
_STRUCTURE = (gym.Space, EnvSpec, FunctionType, MethodType, BuiltinFunctionType, ModuleType, type)
_METHODS = (FunctionType, BuiltinFunctionType, property)
_BIT_GENERATORS: dict[str, type[np.random.BitGenerator]] = {
    "PCG64": np.random.PCG64,
    "PCG64DXSM": np.random.PCG64DXSM,
    "MT19937": np.random.MT19937,
    "Philox": np.random.Philox,
    "SFC64": np.random.SFC64,
}
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


def restore(env: gym.Env[object, object], layers: object) -> None:
    """Writes captured attributes back.

    Raises Misfit, before it changes anything, if `capture` cannot have returned these layers; ValueError if it
    returned them for an environment with another number of layers.
    """
    own, decoded = layers_of(env), decode(layers)
    if len(own) != len(decoded):
        raise ValueError(f"the environment has {len(own)} layers, its saved state has {len(decoded)}")
    for layer, attributes in zip(own, decoded, strict=True):
        for name, (kind, _) in attributes.items():
            _check_attribute(layer, name, kind, own)
    for layer, attributes in zip(own, decoded, strict=True):
        for name, (kind, value) in attributes.items():
            if kind == "space":  # keeps its identity; only its generator is restored
                getattr(layer, name)._np_random = value
            else:
                setattr(layer, name, value)


def decode(layers: object) -> list[dict[str, Encoded]]:
    """Name → (kind, value) for each layer. Raises Misfit if `capture` cannot have returned the layers."""
    try:
        return [
            {name: (_kind(encoded), _decode(encoded)) for name, encoded in saved.mapping(layer, "layer").items()}
            for layer in saved.sequence(layers, "snapshot")
        ]
    except saved.Misfit:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError, RuntimeError) as error:
        raise saved.Misfit(f"snapshot is not the state of an environment: {type(error).__name__}: {error}") from None


def _check_attribute(layer: gym.Env[object, object], name: str, kind: str, own: list[gym.Env[object, object]]) -> None:
    """Raises Misfit if the name is that of a method, a property or the wrapped environment, which are not state."""
    special = isinstance(getattr(type(layer), name, None), _METHODS) or name.startswith("__")
    current = getattr(layer, name, None)
    if special or any(current is inner for inner in own) or (kind == "space") > isinstance(current, gym.Space):
        raise saved.Misfit(f"snapshot: {name} of {type(layer).__name__} is not state")


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


def _kind(encoded: object) -> str:
    return saved.text(saved.sequence(encoded, "snapshot", 2)[0], "snapshot")


def _decode(encoded: object) -> object:
    kind, value = saved.sequence(encoded, "snapshot", 2)
    if kind == "plain" and (value is None or type(value) in (bool, int, float, str)):
        return value
    if kind in ("array", "scalar") and isinstance(value, torch.Tensor) and (kind == "array" or not value.ndim):
        array = value.numpy().copy()
        if array.dtype.kind in "biuf":
            return array if kind == "array" else array[()]
    if kind == "bytes":
        return bytes(saved.whole(part, "snapshot", 0, 255) for part in saved.sequence(value, "snapshot"))
    if kind == "text":
        dtype, items = (_decode(part) for part in saved.sequence(value, "snapshot", 2))
        if re.fullmatch(r"[<>|=]?[SU]\d{1,4}", saved.text(dtype, "snapshot")):
            return np.array(items, cast(str, dtype))
    if kind in ("rng", "space"):
        return _generator(saved.mapping(_decode(value), "snapshot"))
    if kind == "dict":
        pairs = [saved.sequence(pair, "snapshot", 2) for pair in saved.sequence(value, "snapshot")]
        return {_decode(key): _decode(item) for key, item in pairs}
    if kind in ("list", "tuple"):
        items = [_decode(part) for part in saved.sequence(value, "snapshot")]
        return items if kind == "list" else tuple(items)
    raise saved.Misfit(f"snapshot holds {saved.shown(encoded)}, which is not the state of an environment")


def _generator(state: dict[str, object]) -> np.random.Generator:
    """A generator in this state, of which NumPy does not check the positions in its buffers."""
    bit_generator = _BIT_GENERATORS[saved.text(state["bit_generator"], "snapshot")]()
    if isinstance(bit_generator, np.random.MT19937):
        saved.whole(saved.mapping(state["state"], "snapshot")["pos"], "snapshot", 0, 624)
    if isinstance(bit_generator, np.random.Philox):
        saved.whole(state["buffer_pos"], "snapshot", 0, 4)
    bit_generator.state = state
    return np.random.Generator(bit_generator)
