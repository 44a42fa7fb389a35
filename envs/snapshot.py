"""The state of a Python environment as plain data, which a checkpoint can store and load without running code.

Reads every attribute of every layer, from the outermost wrapper to the environment itself, with `envs.encoding`; the
wrapped environment counts as structure. Attributes of other kinds, such as a physics engine, cannot be captured;
`envs.replay` restores environments with such attributes. State outside the attributes (global generators, closures,
class attributes) is not captured.
"""

from types import BuiltinFunctionType, FunctionType
from typing import cast

import gymnasium as gym
from numpy.random import Generator

from envs import saved
from envs.encoding import (
    GENERATORS,
    NOT_PLAIN,
    STRUCTURE,
    Encoded,
    Seen,
    decode,
    encode,
    kind_of,
    mutable_objects,
    spaces_in,
)

Layers = list[dict[str, Encoded]]  # for each layer, outermost first: attribute name → encoded value
_SPACES = (GENERATORS, "space")  # kinds of encoded spaces
_METHODS = (FunctionType, BuiltinFunctionType, property)
_ARGUMENTS = ("_saved_kwargs", "_ezpickle_args", "_ezpickle_kwargs")  # constructor arguments kept by Gymnasium


def capture(env: gym.Env[object, object]) -> Layers | None:
    """The state of every layer; None if any attribute is not plain data."""
    layers, others = separate(env)
    return None if others else layers


def separate(env: gym.Env[object, object]) -> tuple[Layers, list[object]]:
    """The attributes that are plain data, and the objects inside the other attributes."""
    own, seen, layers, others = layers_of(env), Seen({}, set()), Layers(), list[object]()
    for layer in own:
        encoded = dict[str, Encoded]()
        for name, value in vars(layer).items():
            if name in _ARGUMENTS or any(value is inner for inner in own):
                continue
            trial = Seen(dict(seen.numbers), set(seen.blocked))
            try:
                encoded[name], seen = encode(value, trial), trial
            except NOT_PLAIN:
                others += mutable_objects(value) or [value]
        layers.append({name: value for name, value in encoded.items() if value is not STRUCTURE})
    return layers, others


def restore(env: gym.Env[object, object], layers: object) -> None:
    """Writes captured attributes back.

    Raises Misfit, before changing anything, if `capture` cannot have returned these layers; ValueError if they come
    from an environment with another number of layers.
    """
    own, decoded = layers_of(env), decode_layers(layers)
    if len(own) != len(decoded):
        raise ValueError(f"the environment has {len(own)} layers, its saved state has {len(decoded)}")
    for layer, attributes in zip(own, decoded, strict=True):
        for name, (kind, _) in attributes.items():
            _check_attribute(layer, name, kind, own)
    for layer, attributes in zip(own, decoded, strict=True):
        for name, (kind, value) in attributes.items():
            if kind in _SPACES:  # the space stays; only the generators are restored, or the first of an older file
                generators = cast("list[Generator]", value)
                for space, generator in zip(spaces_in(getattr(layer, name)), generators, strict=False):
                    space._np_random = generator
            else:
                setattr(layer, name, value)


def decode_layers(layers: object) -> list[dict[str, Encoded]]:
    """Name → (kind, value) for each layer. Raises Misfit if `capture` cannot have returned the layers."""
    shared = list[object]()
    try:
        return [
            {name: (kind_of(one), decode(one, shared)) for name, one in saved.mapping(layer, "layer").items()}
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
    if special or any(current is inner for inner in own) or (kind in _SPACES) > isinstance(current, gym.Space):
        raise saved.Misfit(f"snapshot: {name} of {type(layer).__name__} is not state")


def layers_of(env: gym.Env[object, object]) -> list[gym.Env[object, object]]:
    """The environment and everything it wraps, outermost first."""
    layers = [env]
    while isinstance(layers[-1], gym.Wrapper):
        layers.append(layers[-1].env)
    return layers
