"""`check_demonstrations`: a one-line message that says what is wrong with demonstrations, and in which row."""

import math
from typing import cast

import numpy as np
from gymnasium import spaces

from agents.demonstrations.data import DemonstrationError, Demonstrations, Flags
from envs import saved
from envs.spaces import Actions, Array, Space, brief, factors, first_row, flat_form, policy_action_space

NAMES = {  # field of Demonstrations → name of the array in files and messages
    "obs": "observations",
    "action": "actions",
    "reward": "rewards",
    "next_obs": "next_observations",
    "terminated": "terminated",
    "truncated": "truncated",
    "episode_start": "episode_starts",
    "legal": "action_masks",
}

_FORMS: dict[str, dict[str, tuple[int, ...]]] = {  # field → dtype → allowed numbers of dimensions
    "action": {"int64": (1, 2), "float32": (2,)},
    "reward": {"float32": (1,)},
    "terminated": {"bool": (1,)},
    "truncated": {"bool": (1,)},
    "episode_start": {"bool": (1,)},
    "legal": {"bool": (2,)},
}

_LARGEST = np.finfo(np.float32).max  # larger float64 values overflow in the networks, which use float32


def check_demonstrations(
    demonstrations: Demonstrations,
    where: str,
    obs_space: Space | None = None,
    action_space: Space | None = None,
) -> None:
    """Raises DemonstrationError, which begins with `where`, unless the demonstrations are valid and fit the spaces.

    obs_space, action_space: the environment's spaces or the agent's flat form of them; None allows any.
    """
    try:
        _check_arrays(demonstrations)
        _check_episodes(demonstrations)
        _check_actions(demonstrations, action_space)
        if obs_space is not None:
            _check_observations("observations", demonstrations.obs, obs_space)
            _check_observations("next_observations", demonstrations.next_obs, obs_space)
    except DemonstrationError as fault:
        raise DemonstrationError(f"{where}: {fault}") from None


def _arrays(d: Demonstrations) -> dict[str, Array]:
    return {name: getattr(d, name) for name in NAMES if getattr(d, name) is not None}


def _check_arrays(d: Demonstrations) -> None:
    for name, array in _arrays(d).items():
        forms = _FORMS.get(name)
        if forms is not None and array.ndim not in forms.get(str(array.dtype), ()):
            wanted = " or ".join(_form(kind, ndim) for kind, ndims in forms.items() for ndim in ndims)
            raise DemonstrationError(f"{NAMES[name]} is {array.dtype}{list(array.shape)}; it must be {wanted}")
        if forms is None and (array.dtype.kind not in "biuf" or array.dtype.itemsize > 8 or not array.ndim):
            raise DemonstrationError(f"{NAMES[name]} is {array.dtype}{list(array.shape)}; it must be numbers [M, …]")
        if len(array) != len(d.obs):
            raise DemonstrationError(
                f"{NAMES[name]} has {len(array)} rows, {NAMES['obs']} has {len(d.obs)}; every row is one transition"
            )
        if array.dtype.kind == "f":
            broken = ~(np.abs(array) <= _LARGEST)  # also true for NaN
            if broken.any():
                raise DemonstrationError(f"{NAMES[name]} holds NaN or infinity in row {first_row(broken)}")
    if (d.obs.dtype, d.obs.shape) != (d.next_obs.dtype, d.next_obs.shape):
        raise DemonstrationError(
            f"{NAMES['next_obs']} is {d.next_obs.dtype}{list(d.next_obs.shape)}, {NAMES['obs']} "
            f"{d.obs.dtype}{list(d.obs.shape)}; their dtypes and shapes must be the same"
        )


def _form(kind: str, ndim: int) -> str:
    return kind + ("[M]" if ndim == 1 else "[M, K]")


def _check_episodes(d: Demonstrations) -> None:
    ended, start = d.terminated | d.truncated, d.episode_start
    if not ended.any():
        raise DemonstrationError("no episode is complete; set truncated in the last row of an episode that was cut off")
    if not start[0]:
        raise DemonstrationError("the first row does not start an episode; set episode_starts there")
    if not ended[-1]:
        raise DemonstrationError("the last row does not end an episode; set truncated there")
    unstarted, unended = ended[:-1] & ~start[1:], start[1:] & ~ended[:-1]
    if unstarted.any():
        row = first_row(unstarted)
        raise DemonstrationError(
            f"an episode ends in row {row}, but row {row + 1} starts none; set episode_starts there"
        )
    if unended.any():
        row = first_row(unended)
        raise DemonstrationError(
            f"an episode starts in row {row + 1}, but the previous one does not end in row {row}; set truncated there"
        )


def _check_actions(d: Demonstrations, space: Space | None) -> None:
    choices = _choices(d)
    if space is not None:
        choices = _choices_of(cast(Actions, space), d, choices)
    if d.action.dtype.kind == "f":
        if d.legal is not None:
            raise DemonstrationError("action_masks need discrete actions, but actions are float32")
        return
    parts = d.action.reshape(len(d.action), -1).astype(np.int64, copy=False)
    if choices is None and d.legal is not None:
        if d.action.ndim > 1:
            raise DemonstrationError("action_masks of multi-part actions need choices in the metadata, such as [2, 3]")
        choices = [d.legal.shape[1]]
    if choices is not None and len(choices) != parts.shape[1]:
        raise DemonstrationError(
            f"actions have {parts.shape[1]} parts, but the metadata has choices {saved.shown(choices)}"
        )
    outside = parts < 0 if choices is None else (parts < 0) | (parts >= np.array(choices))
    if outside.any():
        row = first_row(outside)
        raise DemonstrationError(f"action {d.action[row].tolist()} in row {row} is outside its choices, counted from 0")
    if d.legal is not None:
        _check_masks(d.legal, d.action, choices or [])


def _choices_of(space: Actions, d: Demonstrations, recorded: list[int] | None) -> list[int]:
    """The number of choices of each part of the space's actions. Raises if the demonstrated actions do not fit."""
    policy, choices = policy_action_space(space), list(factors(space))
    continuous = isinstance(policy, spaces.Box)
    shape = (math.prod(policy.shape),) if isinstance(policy, spaces.Box) else policy.shape
    if (d.action.shape[1:], d.action.dtype.kind == "f") != (shape, continuous) or recorded not in (None, choices):
        stored = f"{d.action.dtype}{list(d.action.shape)}" + (
            f" with choices {saved.shown(recorded)}" if recorded else ""
        )
        raise DemonstrationError(f"actions are {stored}; the agent acts in {brief(space)}")
    return choices


def _check_masks(legal: Flags, action: Array, choices: list[int]) -> None:
    if legal.shape[1] != sum(choices):
        raise DemonstrationError(f"action_masks has {legal.shape[1]} columns, but actions have {sum(choices)} choices")
    columns = np.add(action.reshape(len(action), -1), np.cumsum([0, *choices[:-1]]), dtype=np.int64)
    forbidden = ~np.take_along_axis(legal, columns, axis=1)
    if forbidden.any():
        row = first_row(forbidden)
        raise DemonstrationError(f"action {action[row].tolist()} in row {row} is forbidden by its action_masks")


def _choices(d: Demonstrations) -> list[int] | None:
    """The number of choices of each part of an action, [] if continuous; None if the metadata does not say."""
    choices = d.metadata.get("choices")
    if choices is None:
        return None
    if not isinstance(choices, list) or not all(type(n) is int and n > 0 for n in choices):
        raise DemonstrationError(f"choices in the metadata must be a list such as [2], got {saved.shown(choices)}")
    if bool(choices) == (d.action.dtype.kind == "f"):
        raise DemonstrationError(f"actions are {d.action.dtype}, but the metadata has choices {saved.shown(choices)}")
    return choices


def _check_observations(name: str, obs: Array, space: Space) -> None:
    flat = flat_form(space)
    if obs.shape[1:] != flat.shape or obs.dtype != flat.dtype:
        raise DemonstrationError(f"{name} are {obs.dtype}{list(obs.shape[1:])}; the agent observes {brief(flat)}")
    if isinstance(flat, spaces.Discrete):
        outside = ~np.isin(obs, np.arange(flat.start, flat.start + flat.n))
        if outside.any():
            raise DemonstrationError(
                f"{name} holds {obs[first_row(outside)]} in row {first_row(outside)}, which is outside {brief(flat)}"
            )
