"""The state of a Python environment as plain data, so that a checkpoint can hold it and run no code to load it.

Every layer from the outermost wrapper to the environment itself is read attribute by attribute. Numbers, text,
arrays, containers of these and NumPy generators are state; spaces, specs, functions and the wrapped environment
are structure, which the constructor rebuilds. Anything else (a physics engine, say) cannot be captured.
"""

from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import cast

import gymnasium as gym
import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec

Encoded = tuple[str, object]
_STRUCTURE = (gym.Env, gym.Space, EnvSpec, FunctionType, MethodType, BuiltinFunctionType, ModuleType, type)
_SKIP: Encoded = ("structure", None)


class NotPlainData(TypeError):
    """An attribute holds an object whose state cannot be read as data."""


def capture(env: gym.Env[object, object]) -> list[dict[str, Encoded]] | None:
    """One dict of encoded attributes a layer, outermost first; None if some attribute is not plain data."""
    layers: list[dict[str, Encoded]] = []
    try:
        for layer in _layers(env):
            encoded = {name: _encode(value) for name, value in vars(layer).items()}
            layers.append({name: value for name, value in encoded.items() if value != _SKIP})
    except NotPlainData:
        return None
    return layers


def restore(env: gym.Env[object, object], layers: list[dict[str, Encoded]]) -> None:
    """Writes captured attributes back. Raises ValueError if the environment has other layers than were captured."""
    own = _layers(env)
    if len(own) != len(layers):
        raise ValueError(f"the environment has {len(own)} layers, its saved state has {len(layers)}")
    for layer, attributes in zip(own, layers, strict=True):
        for name, value in attributes.items():
            setattr(layer, name, _decode(value))


def _layers(env: gym.Env[object, object]) -> list[gym.Env[object, object]]:
    layers = [env]
    while isinstance(layers[-1], gym.Wrapper):
        layers.append(layers[-1].env)
    return layers


def _encode(value: object) -> Encoded:
    if value is None or (isinstance(value, bool | int | float | str) and not isinstance(value, np.generic)):
        return ("plain", value)
    if isinstance(value, np.ndarray | np.generic) and np.asarray(value).dtype.kind in "biuf":
        kind = "array" if isinstance(value, np.ndarray) else "scalar"
        return (kind, torch.from_numpy(np.array(value, copy=True)))
    if isinstance(value, np.random.Generator):
        return ("rng", _encode(value.bit_generator.state))
    if isinstance(value, list | tuple):
        return (type(value).__name__ if type(value) in (list, tuple) else _reject(value), [_encode(v) for v in value])
    if isinstance(value, dict):
        return ("dict", [(_encode(k), _encode(v)) for k, v in value.items()])
    if isinstance(value, (*_STRUCTURE, np.ndarray, bytes)):  # text arrays are maps, not state
        return _SKIP
    return (_reject(value), None)


def _reject(value: object) -> str:
    raise NotPlainData(type(value).__name__)


def _decode(encoded: Encoded) -> object:
    kind, value = encoded
    if kind == "plain":
        return value
    if kind in ("array", "scalar"):
        array = cast(torch.Tensor, value).numpy().copy()
        return array if kind == "array" else array[()]
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
