"""Which actions an environment allows in each state: `action_mask` in its infos, as in Gymnasium's Taxi."""

from collections.abc import Callable

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.errors import EnvironmentFailure, UnsupportedSpace
from envs.spaces import Actions, factors

KEY = "action_mask"


def maskable(space: object) -> bool:
    return isinstance(space, spaces.Discrete | spaces.MultiDiscrete)


def check_maskable(space: Actions, env_id: str) -> None:
    """Raises UnsupportedSpace unless single actions of the space can be forbidden."""
    if not maskable(space):
        raise UnsupportedSpace(
            f"{env_id} has {type(space).__name__} actions, which no mask can forbid; action masks are for Discrete, "
            "and for MultiDiscrete with one mask per choice, concatenated: set action_masks=False"
        )


def gives_masks(build: Callable[[], gym.Env[object, object]]) -> bool:
    """Whether the infos of the first reset hold a mask. Builds a copy of the environment and closes it."""
    copy = build()
    try:
        _, info = copy.reset(seed=0)
    except (Exception, SystemExit):  # reported when the environment is used
        return False
    finally:
        copy.close()
    return KEY in info


def legal_actions(infos: dict[str, object], space: Actions, num_envs: int, env_id: str) -> NDArray[np.bool_]:
    """bool[N, A]; of MultiDiscrete actions the concatenated masks of its choices, [N, Σ A_k].

    Raises EnvironmentFailure if a mask is missing, has another shape, or allows no action.
    """
    width = sum(factors(space))
    given = np.asarray(infos.get(f"_{KEY}", np.full(num_envs, KEY in infos)))
    if not given.all():
        raise EnvironmentFailure(
            f"environment {int(np.argmin(given))} ({env_id}) gave no {KEY} in its infos; every reset and step must, "
            "or set action_masks=False"
        )
    rows = np.asarray(infos[KEY])
    if rows.dtype == object:
        rows = np.array([np.concatenate([np.ravel(part) for part in np.atleast_1d(row)]) for row in rows])
    if rows.shape != (num_envs, width):
        raise EnvironmentFailure(f"{env_id} gave an {KEY} of shape {rows.shape[1:]}; {space} needs ({width},)")
    legal: NDArray[np.bool_] = rows.astype(bool)
    starts = np.cumsum([0, *factors(space)[:-1]])
    stuck = ~np.logical_or.reduceat(legal, starts, axis=1).all(1)
    if stuck.any():
        raise EnvironmentFailure(f"environment {int(np.argmax(stuck))} ({env_id}) gave an {KEY} that allows no action")
    return legal
