"""The parts of an agent in a checkpoint: networks, optimizers, generators, and everything with a `state_dict`.

Loaded data may be anything. A part either takes its complete state or raises an exception, such as saved.Misfit.
"""

import inspect
from collections.abc import Callable, Mapping, Set
from typing import Protocol, TypeGuard, cast

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from envs import saved


class Stateful(Protocol):
    def state_dict(self) -> dict[str, object]: ...
    def load_state_dict(self, state: Mapping[str, object]) -> object: ...


Parts = Mapping[str, Generator | Stateful]


def is_stateful(part: object) -> TypeGuard[Stateful]:
    """Whether an object (not a class) has the methods; an isinstance check of the protocol is much slower."""
    return hasattr(part, "state_dict") and hasattr(part, "load_state_dict") and not isinstance(part, type)


_OWN = ("RMSprop", "RMSpropTFLike", "Adam")  # optimizers whose numbers and state are checked
_SQUARES = {"square_avg", "exp_avg_sq", "max_exp_avg_sq"}
_ALIKE = {"RMSpropTFLike": "RMSprop"}  # each goes on with the other's state


def state_of(parts: Parts) -> dict[str, object]:
    """Name → state."""
    return {name: _state_of(part) for name, part in parts.items()}


def _state_of(part: Generator | Stateful) -> object:
    if isinstance(part, Generator):
        return part.get_state()
    return optimizer_state(part) if isinstance(part, Optimizer) else part.state_dict()


def load_state(parts: Parts, state: Mapping[str, object]) -> None:
    """The inverse of `state_of`. Raises KeyError if `state` lacks a part, Misfit if a part does not fit."""
    unknown = sorted(state.keys() - parts.keys() - {"extra"})
    if unknown:
        raise saved.Misfit(f"there is no place for its {unknown[0]}")
    for name, part in parts.items():
        try:
            _load_part(part, state[name])
        except saved.Misfit as error:
            raise saved.Misfit(f"{name}.{error}") from None


def _load_part(part: Generator | Stateful, state: object) -> None:
    if isinstance(part, Generator):
        part.set_state(saved.tensor(state, "state", torch.uint8, (None,)))
    elif isinstance(part, nn.Module):
        load_module(part, state)
    elif isinstance(part, Optimizer):
        load_optimizer(part, state)
    elif isinstance(state, Mapping):
        part.load_state_dict(state)
    else:
        raise saved.Misfit(f"state is {saved.shown(state)}; it must be a mapping")


def load_module(module: nn.Module, state: object) -> None:
    """Loads a module's `state_dict`. Raises Misfit if a name, dtype or shape differs.

    The order must be the same too: optimizers identify parameters by position.
    """
    own = module.state_dict()
    given = tensors_like(state, own, "state")
    if list(given) != list(own):
        raise saved.Misfit("state has its parameters in another order")
    module.load_state_dict(given)


def tensors_like(value: object, own: Mapping[str, object], where: str) -> dict[str, Tensor]:
    """Name → tensor, with the names, dtypes and shapes of `own`."""
    given = saved.mapping(value, where, own)
    for name, tensor in own.items():
        if isinstance(tensor, Tensor):  # a diverged network may contain NaN
            saved.tensor_with_nan(given[name], f"{where} {name}", tensor.dtype, tensor.shape)
    return cast("dict[str, Tensor]", given)


def optimizer_state(optimizer: Optimizer) -> dict[str, object]:
    """The `state_dict` of a torch optimizer, with its class and the numbers that it was built with."""
    return {**optimizer.state_dict(), "class": type(optimizer).__name__, "built": _built(optimizer)}


def _built(optimizer: Optimizer) -> dict[str, object]:
    numbers = {key: [*x] if isinstance(x, tuple | list) else x for key, x in optimizer.defaults.items()}
    return {
        key: x
        for key, x in numbers.items()
        if all(part is None or isinstance(part, int | float) for part in (x if isinstance(x, list) else [x]))
    }


def load_optimizer(optimizer: Optimizer, state: object) -> None:
    """Loads an `optimizer_state`, since torch validates nothing; the state of another class is not loaded.

    Numbers of the parameter groups are loaded, unless the optimizer was built with another number; switches (true,
    false, None, text) keep the value that the constructor chose.
    """
    given, own, kind = saved.mapping(state, "optimizer"), optimizer.state_dict(), type(optimizer).__name__
    other, built = saved.text(given.pop("class", kind), "class"), saved.mapping(given.pop("built", {}), "built")
    given = saved.mapping(given, "optimizer", ("state", "param_groups"))
    if _ALIKE.get(other, other) != _ALIKE.get(kind, kind):
        optimizer.state.clear()
        return
    chosen = {key for key, x in _built(optimizer).items() if key in built and built[key] != x}
    groups = saved.sequence(given["param_groups"], "param_groups", len(own["param_groups"]))
    merged = [_group(group, current, chosen) for group, current in zip(groups, own["param_groups"], strict=True)]
    needed = [_state_names(type(optimizer), group) if kind in _OWN else set[str]() for group in merged]
    parameters = [
        (p, names) for group, names in zip(optimizer.param_groups, needed, strict=True) for p in group["params"]
    ]
    states = given["state"]
    if not isinstance(states, Mapping):
        raise saved.Misfit(f"optimizer state is {saved.shown(states)}; it must be a mapping")
    for index, of_parameter in states.items():
        if type(index) is not int or not 0 <= index < len(parameters):
            raise saved.Misfit(f"optimizer state is of a parameter {saved.shown(index)}, of {len(parameters)}")
        _check_parameter_state(of_parameter, *parameters[index])
    optimizer.load_state_dict({"state": dict(states), "param_groups": merged})


def _state_names(kind: type[Optimizer], group: Mapping[str, object]) -> set[str]:
    """What a step with this group's numbers keeps for a parameter. Raises Misfit if there is no such optimizer."""
    p = nn.Parameter(torch.zeros(1))
    p.grad = torch.zeros(1)
    taken = inspect.signature(kind).parameters.keys() - {"params"}
    try:
        optimizer = cast(Callable[..., Optimizer], kind)([p], **{name: x for name, x in group.items() if name in taken})
    except ValueError as error:
        raise saved.Misfit(f"parameter group: {error}") from None
    optimizer.step()
    return set(optimizer.state[p])


def _group(value: object, own: Mapping[str, object], chosen: Set[str]) -> dict[str, object]:
    """A parameter group: `own` with the saved numbers, except for those of the names in `chosen`."""
    group = saved.mapping(value, "parameter group")
    if group.get("params") != own["params"]:
        raise saved.Misfit(f"parameter group has other parameters: {saved.shown(group.get('params'))}")
    merged = dict(own)
    for name, current in own.items():
        if name in group and name not in chosen and name != "params":
            merged[name] = _number_like(group[name], current, f"parameter group {name}")
    return merged


def _number_like(value: object, own: object, where: str) -> object:
    """A number, or a sequence of as many, as `own` is one; `own` itself if it is a switch."""
    if own is None or isinstance(own, bool | str):
        return own
    if isinstance(own, tuple | list):
        parts = saved.sequence(value, where, len(own))
        return type(own)(_number_like(part, current, where) for part, current in zip(parts, own, strict=True))
    if isinstance(own, Tensor):
        return saved.tensor(value, where, own.dtype, own.shape)
    return saved.number(value, where)


def _check_parameter_state(value: object, parameter: Tensor, needed: set[str]) -> None:
    """Raises Misfit unless every required entry exists and has the parameter's shape; the step is a number."""
    state = saved.mapping(value, "optimizer state")
    for name in needed if state else ():
        where, entry = f"optimizer state {name}", state.get(name)
        if name == "step":
            saved.number(entry.item() if isinstance(entry, Tensor) and entry.ndim == 0 else entry, where, 0)
        else:
            moment = saved.tensor(entry, where, parameter.dtype, parameter.shape)
            if name in _SQUARES and bool((moment < 0).any()):
                raise saved.Misfit(f"{where} is negative; it must hold squares")
