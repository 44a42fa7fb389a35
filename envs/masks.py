"""Legal actions in each state: `action_mask` in an environment's infos, as in Gymnasium's Taxi."""

from collections.abc import Callable, Iterable, Sequence
from typing import cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.errors import EnvironmentFailure, UnsupportedSpace, close
from envs.spaces import Actions, brief, factors

KEY = "action_mask"


def maskable(space: object) -> bool:
    return isinstance(space, spaces.Discrete | spaces.MultiDiscrete)


def check_maskable(space: Actions, env_id: str) -> None:
    """Raises UnsupportedSpace unless the space has single actions that a mask can forbid."""
    if not maskable(space):
        raise UnsupportedSpace(
            f"{env_id} has {type(space).__name__} actions, which no mask can forbid; action masks are for Discrete, "
            "and for MultiDiscrete with one mask per choice, concatenated: set action_masks=False"
        )


def gives_masks(build: Callable[[], gym.Env[object, object]]) -> bool:
    """Whether the infos of the first reset contain a mask. Builds a copy of the environment and closes it."""
    copy = build()
    try:
        return KEY in copy.reset(seed=0)[1]
    except KeyboardInterrupt:
        raise
    except BaseException:  # reported when the environment is used
        return False
    finally:
        close(copy, str(copy))


def legal_actions(infos: dict[str, object], space: Actions, num_envs: int, env_id: str) -> NDArray[np.bool_]:
    """The legal actions, bool[N, A]; for MultiDiscrete, the concatenated masks of its choices, [N, Σ A_k].

    Raises EnvironmentFailure if a mask is missing, has another shape, or allows no action.
    """
    width = sum(factors(space))
    given = np.asarray(infos.get(f"_{KEY}", np.full(num_envs, KEY in infos)))
    if not given.all():
        raise _failure(given, env_id, f"no {KEY} in its infos; every reset and step must, or set action_masks=False")
    rows = cast("NDArray[np.generic]", infos[KEY])
    if not isinstance(rows, np.ndarray) or rows.shape != (num_envs, width) or rows.dtype.kind not in "biuf":
        masks = [_row(row) for row in cast("Iterable[object]", rows)]
        good = [mask.shape == (width,) and mask.dtype.kind in "biuf" for mask in masks]
        if not all(good):
            found = masks[good.index(False)]
            text = f"an {KEY} of shape {found.shape} and type {found.dtype}; {brief(space)} needs ({width},) and bool"
            raise _failure(np.array(good), env_id, text)
        rows = np.array(masks)
    legal: NDArray[np.bool_] = rows.astype(bool)
    some = _allows_some(legal, space)
    if not some.all():
        raise _failure(some, env_id, f"an {KEY} that allows no action")
    return legal


def completed(infos: dict[str, object], chosen: NDArray[np.bool_], legal: NDArray[np.bool_]) -> dict[str, object]:
    """Infos with a mask for every environment, from those of a reset of some; legal: bool[N, A], before the reset.

    chosen: bool[N], the environments that were reset.
    """
    given = np.asarray(infos.get(f"_{KEY}", np.full(len(chosen), KEY in infos)))
    rows = cast("Sequence[object]", infos.get(KEY, legal))
    return {KEY: [rows[i] if chosen[i] else legal[i] for i in range(len(chosen))], f"_{KEY}": ~chosen | given}


def given_masks(masks: object, space: Actions, count: int) -> NDArray[np.bool_]:
    """bool[N, A], from masks that a caller gives for `count` observations. Raises ValueError if no policy can obey."""
    width = sum(factors(space)) if maskable(space) else 0
    legal = np.asarray(masks)
    if not width:
        raise ValueError(f"action_masks are for Discrete and MultiDiscrete actions; these are {brief(space)}")
    rows = len(legal) if legal.ndim and count > 1 else count
    if (rows, legal.size) != (count, count * width) or legal.dtype.kind not in "biuf":
        raise ValueError(
            f"action_masks have shape {legal.shape} and type {legal.dtype}; {count} observations need "
            f"({count}, {width}) and bool"
        )
    legal = legal.reshape(count, width).astype(bool)
    if not _allows_some(legal, space).all():
        raise ValueError("action_masks allow no action of an observation")
    return legal


def _allows_some(legal: NDArray[np.bool_], space: Actions) -> NDArray[np.bool_]:
    """bool[N], whether an action of every choice is legal."""
    starts = np.cumsum([0, *factors(space)[:-1]])
    return np.asarray(np.logical_or.reduceat(legal, starts, axis=1).all(1))


def _failure(good: NDArray[np.bool_], env_id: str, text: str) -> EnvironmentFailure:
    """good: bool[N], false for the environment at fault."""
    i = int(np.argmin(good))
    return EnvironmentFailure(f"environment {i} ({env_id}) gave {text}", i)


def _row(mask: object) -> NDArray[np.generic]:
    """The masks of an action's choices, concatenated; empty if they cannot be concatenated.

    A tuple holds a mask for each choice, as in `gymnasium.spaces.MultiDiscrete.sample`.
    """
    try:
        parts = mask if isinstance(mask, tuple) else np.atleast_1d(cast("NDArray[np.generic]", mask))
        return np.concatenate([np.ravel(part) for part in parts])
    except ValueError:
        return np.empty(0)
