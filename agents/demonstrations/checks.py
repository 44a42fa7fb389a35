"""`check`: demonstrations that are not what they should be are refused in one line."""

import math
from collections.abc import Iterable
from typing import NoReturn, cast

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agents.demonstrations.data import DemonstrationError, Demonstrations, Flags
from envs.spaces import Actions, Array, Space, brief, factors, first_row, flat_form, policy_action_space

NAMES = {  # of the arrays in a file and in messages, by the fields that hold them
    "obs": "observations", "action": "actions", "reward": "rewards", "next_obs": "next_observations",
    "terminated": "terminated", "truncated": "truncated", "first": "episode_starts", "legal": "action_masks",
}  # fmt: skip

_FORMS: dict[str, dict[str, tuple[int, ...]]] = {  # dtype → numbers of dimensions
    "action": {"int64": (1, 2), "float32": (2,)},
    "reward": {"float32": (1,)},
    "terminated": {"bool": (1,)},
    "truncated": {"bool": (1,)},
    "first": {"bool": (1,)},
    "legal": {"bool": (2,)},
}

_LARGEST = np.finfo(np.float32).max  # a larger float64 would reach the networks as infinity


def check(
    demonstrations: Demonstrations,
    where: str,
    obs_space: Space | None = None,
    action_space: Space | None = None,
) -> None:
    """Raises DemonstrationError, which begins with `where`, unless these are demonstrations of an agent's spaces.

    obs_space, action_space: of the environment or of the agent, which may be the flat form of it; None allows any.
    """
    try:
        _check_arrays(demonstrations)
        _check_episodes(demonstrations)
        _check_actions(demonstrations, action_space)
        if obs_space is not None:
            _check_observations("observations", demonstrations.obs, obs_space)
            _check_observations("next_observations", demonstrations.next_obs, obs_space)
    except _Fault as fault:
        raise DemonstrationError(f"{where}: {fault}") from None


class _Fault(Exception):
    """What is wrong."""


def _refuse(text: str) -> NoReturn:
    raise _Fault(text)


def _arrays(d: Demonstrations) -> dict[str, Array]:
    return {name: cast(Array, getattr(d, name)) for name in NAMES if getattr(d, name) is not None}


def _check_arrays(d: Demonstrations) -> None:
    for name, array in _arrays(d).items():
        forms = _FORMS.get(name)
        if forms is not None and array.ndim not in forms.get(str(array.dtype), ()):
            wanted = " or ".join(_form(kind, ndim) for kind, ndims in forms.items() for ndim in ndims)
            _refuse(f"{NAMES[name]} is {array.dtype}{list(array.shape)}, it must be {wanted}")
        if forms is None and (array.dtype.kind not in "biuf" or array.dtype.itemsize > 8 or not array.ndim):
            _refuse(f"{NAMES[name]} is {array.dtype}{list(array.shape)}, it must be numbers [M, …]")
        if len(array) != len(d.obs):
            _refuse(f"{NAMES[name]} has {len(array)} rows, {NAMES['obs']} {len(d.obs)}; every row is one transition")
        if array.dtype.kind == "f":
            broken = ~(np.abs(array) <= _LARGEST)  # true of NaN too
            if broken.any():
                _refuse(f"{NAMES[name]} holds NaN or infinity in row {first_row(broken)}")
    if (d.obs.dtype, d.obs.shape) != (d.next_obs.dtype, d.next_obs.shape):
        _refuse(
            f"{NAMES['next_obs']} is {d.next_obs.dtype}{list(d.next_obs.shape)}, {NAMES['obs']} "
            f"{d.obs.dtype}{list(d.obs.shape)}; they must be of one form"
        )


def _form(kind: str, ndim: int) -> str:
    return kind + ("[M]" if ndim == 1 else "[M, K]")


def _check_episodes(d: Demonstrations) -> None:
    ended, first = d.terminated | d.truncated, d.first
    if not ended.any():
        _refuse("no episode in it is complete; set truncated in the last row of each, where it was cut off")
    if not first[0]:
        _refuse("its first row is not the start of an episode; set episode_starts there")
    if not ended[-1]:
        _refuse("its last row does not end an episode; set truncated there if the recording was cut off")
    unannounced, early = ended[:-1] & ~first[1:], first[1:] & ~ended[:-1]
    if unannounced.any():
        row = first_row(unannounced)
        _refuse(f"an episode ends in row {row}, and none starts in row {row + 1}; set episode_starts there")
    if early.any():
        row = first_row(early)
        _refuse(
            f"an episode starts in row {row + 1}, and the one before does not end in row {row}; set truncated there"
        )


def _check_actions(d: Demonstrations, space: Space | None) -> None:
    choices = _choices(d)
    if space is not None:
        choices = _choices_of(cast(Actions, space), d, choices)
    if d.action.dtype.kind == "f":
        if d.legal is not None:
            _refuse("action_masks are for choices, and actions are float32")
        return
    parts = cast("NDArray[np.int64]", d.action.reshape(len(d.action), -1))
    if choices is None and d.legal is not None:
        if d.action.ndim > 1:
            _refuse("action_masks of actions of several parts need their numbers of choices in the metadata: choices")
        choices = [d.legal.shape[1]]
    if choices is not None and len(choices) != parts.shape[1]:
        _refuse(f"actions have {parts.shape[1]} parts, and the metadata says choices {choices}")
    outside = parts < 0 if choices is None else (parts < 0) | (parts >= np.array(choices))
    if outside.any():
        row = first_row(outside)
        _refuse(f"action {d.action[row].tolist()} in row {row} is outside its choices, which count from 0")
    if d.legal is not None:
        _check_masks(d.legal, d.action, choices or [])


def _choices_of(space: Actions, d: Demonstrations, told: list[int] | None) -> list[int]:
    """The choices of an agent's space, which must be the one that these actions are of."""
    policy, own = policy_action_space(space), list(factors(space))
    continuous = isinstance(policy, spaces.Box)
    shape = (math.prod(policy.shape),) if isinstance(policy, spaces.Box) else policy.shape
    if (d.action.shape[1:], d.action.dtype.kind == "f") != (shape, continuous) or told not in (None, own):
        stored = f"{d.action.dtype}{list(d.action.shape)}" + (f" of {told} choices" if told else "")
        _refuse(f"actions are {stored}; those of the agent are of {brief(space)}")
    return own


def _check_masks(legal: Flags, action: Array, choices: list[int]) -> None:
    if legal.shape[1] != sum(choices):
        _refuse(f"action_masks has {legal.shape[1]} columns, actions have {sum(choices)} choices")
    columns = np.add(action.reshape(len(action), -1), np.cumsum([0, *choices[:-1]]), dtype=np.int64)
    forbidden = ~np.take_along_axis(legal, columns, axis=1)
    if forbidden.any():
        row = first_row(forbidden)
        _refuse(f"action {action[row].tolist()} in row {row} is one that its action_masks forbid")


def _choices(d: Demonstrations) -> list[int] | None:
    """The numbers of choices that the metadata tells, [] of continuous actions; None if it does not."""
    told = d.about.get("choices")
    if told is None:
        return None
    if not isinstance(told, list) or not all(type(n) is int and n > 0 for n in told):
        _refuse(f"the metadata's choices must be a list such as [2], it is {told!r}")
    if bool(told) == (d.action.dtype.kind == "f"):
        _refuse(f"actions are {d.action.dtype}, and the metadata says choices {told}")
    return cast("list[int]", list(cast(Iterable[int], told)))


def _check_observations(name: str, obs: Array, space: Space) -> None:
    flat = flat_form(space)
    if obs.shape[1:] != flat.shape or obs.dtype != flat.dtype:
        _refuse(f"{name} are {obs.dtype}{list(obs.shape[1:])}; those of the agent are of {brief(flat)}")
    if isinstance(flat, spaces.Discrete):
        outside = ~np.isin(obs, np.arange(flat.start, flat.start + flat.n))
        if outside.any():
            _refuse(
                f"{name} holds {obs[first_row(outside)]} in row {first_row(outside)}, which is not of {brief(flat)}"
            )
