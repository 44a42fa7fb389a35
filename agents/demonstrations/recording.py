"""`record`: plays complete episodes of an agent or of a function, and returns them as demonstrations."""

import json
from collections.abc import Callable
from typing import cast

import numpy as np
import torch

from agents.demonstrations.checks import check_demonstrations
from agents.demonstrations.data import DemonstrationError, Demonstrations
from agents.episodes import EpisodePlayer, EpisodeStep, episode_player
from agents.machine import versions
from agents.rollout import NO_CONTEXT, Actor, Array, Choice, Context
from envs import Backend, EnvLike, Variant
from envs.spaces import Actions, Space, brief, factors, to_policy_action

Script = Callable[[Array], Array]


def record(
    actor: Actor | Script,
    env: EnvLike,
    episodes: int,
    seed: int = 0,
    deterministic: bool = True,
    variant: Variant | None = None,
    backend: Backend | None = None,
) -> Demonstrations:
    """Every transition of the episodes that `rl.evaluate` plays with the same arguments, in order of assignment.

    actor: an agent, or a function from observations [N, …] to actions [N, …], for N ≤ 20 parallel environments; N may
    change between calls. Observations are flat, as in `Demonstrations.obs`; actions are the environment's, so a
    discrete action counts from its space's `start`.
    Without a time limit, an episode is truncated after `agents.episodes.CUTOFF_STEPS` steps.
    Raises ValueError as `rl.evaluate` does, and DemonstrationError if an action is not in the environment's space.

    >>> demonstrations = record(lambda obs: (obs[:, 2] > 0).astype(int), "CartPole-v1", episodes=2)
    >>> len(demonstrations.episodes), len(demonstrations.obs) == demonstrations.transitions
    (2, True)
    """
    with episode_player(actor, env, episodes, seed, variant, backend) as player:
        scripted = not hasattr(actor, "act")
        acting = Scripted(cast(Script, actor), player.worlds.env_action_space) if scripted else cast(Actor, actor)
        steps = [_assigned_rows(step) for step in player.play(acting, deterministic)]
        metadata = _metadata(actor, player) | {"seed": seed, "deterministic": None if scripted else deterministic}
        dtype, env_id = player.worlds.obs_space.dtype, player.worlds.env_id
    episode = np.concatenate([step.pop("episode") for step in steps]).astype(np.int64)
    order = np.argsort(episode, kind="stable")

    def joined(name: str) -> Array:
        return np.concatenate([step.pop(name) for step in steps])[order]  # pop frees memory, since images are large

    demonstrations = Demonstrations(
        env_id=env_id,
        obs=joined("obs").astype(dtype, copy=False),
        action=joined("action"),
        reward=joined("reward").astype(np.float32),
        next_obs=joined("next_obs").astype(dtype, copy=False),
        terminated=joined("terminated").astype(bool),
        truncated=joined("truncated").astype(bool),
        episode_start=np.diff(episode[order], prepend=-1) > 0,
        legal=joined("legal").astype(bool) if "legal" in steps[0] else None,
        metadata=metadata,
    )
    check_demonstrations(demonstrations, f"recording of {env_id}")
    return demonstrations


class Scripted:
    """An actor whose actions a function computes."""

    def __init__(self, script: Script, space: Actions) -> None:
        self.script, self.space = script, space

    def act(
        self,
        obs: Array,
        deterministic: bool = False,
        generator: torch.Generator | None = None,
        context: Context = NO_CONTEXT,
    ) -> Choice:
        actions = np.asarray(self.script(obs.copy()))
        try:
            if len(np.atleast_1d(actions)) != len(obs):
                raise ValueError(f"{len(np.atleast_1d(actions))} actions for a batch of {len(obs)} observations")
            choice = to_policy_action(self.space, actions)
        except ValueError as error:
            raise DemonstrationError(f"the function's actions are not in {brief(self.space)}: {error}") from None
        return Choice(torch.from_numpy(choice), torch.zeros(len(obs), 0))


def describe_spaces(observations: Space, actions: Actions) -> dict[str, object]:
    """Metadata of the environment's spaces: their text, and the number of choices of each part of an action."""
    return {
        "observation_space": brief(observations),
        "action_space": brief(actions),
        "choices": list(factors(actions)),
    }


def _metadata(actor: object, player: EpisodePlayer) -> dict[str, object]:
    worlds = player.worlds
    metadata = describe_spaces(worlds.env_obs_space, worlds.env_action_space) | {
        "actor": getattr(actor, "__name__", type(actor).__name__),
        "variant": player.variant.changes,
        "backend": worlds.backend,
        "cut_off_after": None if np.isinf(player.cutoff) else player.cutoff,
        "versions": versions(),
    }
    plain: dict[str, object] = json.loads(json.dumps(metadata, default=str))
    return plain


def _assigned_rows(step: EpisodeStep) -> dict[str, Array]:
    """The rows of environments that are playing an assigned episode."""
    action = step.choice.action.numpy(force=True)
    rows: dict[str, Array] = {
        "episode": step.episode,
        "obs": step.obs,
        "reward": step.reward,
        "next_obs": step.next_obs,
        "action": action.astype(np.float32 if action.dtype.kind == "f" else np.int64, copy=False),
        "terminated": step.terminated,
        "truncated": step.truncated,
    }
    if step.legal is not None:
        rows["legal"] = step.legal
    assigned = step.episode >= 0
    return {name: row[assigned] for name, row in rows.items()}
