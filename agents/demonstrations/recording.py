"""`record`: whole episodes of an agent, or of a script, as demonstrations."""

import json
from collections.abc import Callable
from typing import cast

import numpy as np
import torch

from agents.demonstrations.checks import check
from agents.demonstrations.data import DemonstrationError, Demonstrations
from agents.episodes import Stage, Step, stage
from agents.machine import versions
from agents.rollout import FREE, Actor, Array, Choice, Given
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
    """The episodes that `rl.evaluate` plays with the same arguments, every transition of them, in order of assignment.

    actor: an agent, or any function from observations [N, …] to the environment's actions [N, …]; observations are
    flat, as `Demonstrations.obs`, actions as the environment wants them (a choice counts from its space's `start`).
    The function sees a batch since N environments are played side by side; N is at most 20 and may change.
    An episode without a time limit is cut off after `agents.episodes.PATIENCE` steps and counts as truncated there.
    Raises ValueError as `rl.evaluate` does, and DemonstrationError if the function's actions are not the environment's.
    """
    with stage(actor, env, episodes, seed, variant, backend) as prepared:
        scripted = not hasattr(actor, "act")
        space = prepared.worlds.env_action_space
        player = Scripted(cast(Script, actor), space) if scripted else cast(Actor, actor)
        steps = [_playing(step) for step in prepared.play(player, deterministic)]
        about = _about(actor, prepared) | {"seed": seed, "deterministic": None if scripted else deterministic}
        dtype, env_id = prepared.worlds.obs_space.dtype, prepared.worlds.env_id
    episode = np.concatenate([step.pop("episode") for step in steps]).astype(np.int64)
    order = np.argsort(episode, kind="stable")

    def joined(name: str) -> Array:
        return np.concatenate([step.pop(name) for step in steps])[order]  # pop, since images are large

    demonstrations = Demonstrations(
        env_id=env_id,
        obs=joined("obs").astype(dtype, copy=False),
        action=joined("action"),
        reward=joined("reward").astype(np.float32),
        next_obs=joined("next_obs").astype(dtype, copy=False),
        terminated=joined("terminated").astype(bool),
        truncated=joined("truncated").astype(bool),
        first=np.diff(episode[order], prepend=-1) > 0,
        legal=joined("legal").astype(bool) if "legal" in steps[0] else None,
        about=about,
    )
    check(demonstrations, f"what was recorded in {env_id}")
    return demonstrations


class Scripted:
    """A function from observations to the environment's actions as an actor."""

    def __init__(self, script: Script, space: Actions) -> None:
        self.script, self.space = script, space

    def act(
        self, obs: Array, deterministic: bool = False, generator: torch.Generator | None = None, given: Given = FREE
    ) -> Choice:
        actions = np.asarray(self.script(obs.copy()))
        try:
            if len(np.atleast_1d(actions)) != len(obs):
                raise ValueError(f"{len(np.atleast_1d(actions))} actions for a batch of {len(obs)} observations")
            choice = to_policy_action(self.space, actions)
        except ValueError as error:
            raise DemonstrationError(f"the function cannot act in {brief(self.space)}: {error}") from None
        return Choice(torch.from_numpy(choice), torch.zeros(len(obs), 0))


def describe(observations: Space, actions: Actions) -> dict[str, object]:
    """What is kept of the environment's own spaces: their text, and the number of choices of each part of an action."""
    return {
        "observation_space": brief(observations),
        "action_space": brief(actions),
        "choices": list(factors(actions)),
    }


def _about(actor: object, prepared: Stage) -> dict[str, object]:
    worlds = prepared.worlds
    about = describe(worlds.env_obs_space, worlds.env_action_space) | {
        "actor": getattr(actor, "__name__", type(actor).__name__),
        "variant": prepared.variant.changes,
        "backend": worlds.backend,
        "cut_off_after": None if np.isinf(prepared.patience) else prepared.patience,
        "versions": versions(),
    }
    plain: dict[str, object] = json.loads(json.dumps(about, default=str))
    return plain


def _playing(step: Step) -> dict[str, Array]:
    """The rows of the environments whose episode was asked for."""
    action = step.choice.action.numpy(force=True)
    rows: dict[str, Array] = {
        "episode": step.episode, "obs": step.obs, "reward": step.reward, "next_obs": step.next_obs,
        "action": action.astype(np.float32 if action.dtype.kind == "f" else np.int64, copy=False),
        "terminated": step.terminated, "truncated": step.truncated,
    }  # fmt: skip
    if step.legal is not None:
        rows["legal"] = step.legal
    playing = step.episode >= 0
    return {name: row[playing] for name, row in rows.items()}
