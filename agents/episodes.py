"""Whole episodes, assigned to environments before any is played, so that short ones are not favored."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, cast

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

from agents.agent import Agent
from agents.machine import torch_threads
from agents.rollout import Actor, Array, Choice, Given
from envs import Backend, EnvLike, Variant, Worlds, evaluation_backend, make
from envs.streams import stream_generator, stream_seeds

_PARALLEL = 20  # environments at most

PATIENCE = 30_000  # steps of one episode after which an environment without a time limit is cut off


class Step(NamedTuple):
    """One step of N environments, and the episode that each is playing."""

    obs: Array  # [N, …]
    choice: Choice
    legal: NDArray[np.bool_] | None  # [N, A], actions that were allowed
    reward: NDArray[np.float64]  # [N]
    next_obs: Array  # [N, …], true successors
    terminated: NDArray[np.bool_]  # [N]
    truncated: NDArray[np.bool_]  # [N], by the environment or cut off
    cut: NDArray[np.bool_]  # [N], episodes without a time limit that were cut off
    episode: NDArray[np.int64]  # [N], counted from 0; −1 where none is left


class Stage(NamedTuple):
    """Environments that wait for an actor to play so many episodes."""

    worlds: Worlds
    variant: Variant
    episodes: int
    generator: torch.Generator
    patience: float  # steps after which an episode is cut off

    def play(self, actor: Actor, deterministic: bool) -> Iterator[Step]:
        """Every step until the last episode has ended. Episode k is played by environment k mod N."""
        worlds, n = self.worlds, self.worlds.num_envs
        episode = np.where(np.arange(n) < self.episodes, np.arange(n), -1)
        played = np.zeros(n, np.int64)
        obs, _ = worlds.reset()
        given = Given(worlds.legal)
        while (episode >= 0).any():
            choice = actor.act(obs, deterministic, self.generator, given)
            after, reward, terminated, truncated, infos = worlds.step(choice.action.numpy(force=True))
            played += 1
            cut = (played >= self.patience) & ~(terminated | truncated)
            over = terminated | truncated | cut
            next_obs = cast(Array, infos["next_obs"])
            yield Step(
                obs, choice, given.legal, reward, next_obs, terminated, truncated | cut, cut, episode.copy()
            )  # fmt: skip
            episode[over & (episode >= 0)] += n
            episode[episode >= self.episodes] = -1
            played[over] = 0
            obs = worlds.reset(options={"reset_mask": cut})[0] if cut.any() else after
            given = given.after(choice, worlds.legal, over)


@contextmanager
def stage(
    agent: object, env: EnvLike, episodes: int, seed: int, variant: Variant | None, backend: Backend | None
) -> Iterator[Stage]:
    """Environments for `rl.evaluate` and whoever else plays whole episodes; its docstring says what they are.

    agent: an actor, whose environment, observations and use of action masks are looked at if it says what they are.
    What was built here is closed in the end; an environment object that the agent trains on begins anew.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, got {episodes}")
    count = min(episodes, _PARALLEL) if isinstance(env, str) else None
    start = stream_seeds(seed, "evaluation", 1)[0]
    trained = agent if isinstance(agent, Agent) else None
    same = trained is not None and (env is trained.env or (isinstance(env, str) and env == trained.env))
    origin = trained.worlds.origin if trained and same else None
    variant = variant if variant is not None else origin.variant if origin else Variant()
    backend = backend if backend is not None else evaluation_backend(origin.backend) if origin else "auto"
    worlds = make(env, count, start, variant=variant, backend=backend, action_masks=_obeys_masks(agent))
    _check_observations(agent, worlds)
    limited = variant.max_episode_steps is not None or worlds.has_time_limit
    try:
        with torch_threads(1):
            patience = np.inf if limited else PATIENCE
            yield Stage(worlds, variant, episodes, stream_generator(seed, "evaluation"), patience)
    finally:
        if not isinstance(env, gym.Env | gym.vector.VectorEnv):  # what the caller built, the caller closes
            worlds.close()
        elif trained is not None and trained.env is env:
            trained.loop.begin_anew()


def _check_observations(agent: object, worlds: Worlds) -> None:
    """Raises ValueError if the agent says what it observes and it is not what these worlds show."""
    own, given = getattr(agent, "obs_space", None), worlds.obs_space
    if own is not None and _form(own) != _form(given):
        raise ValueError(f"the agent was trained on observations {own}; {worlds.env_id} gives {given}")


def _obeys_masks(agent: object) -> bool | None:
    """None lets the environment decide, for an actor that does not say."""
    own = getattr(agent, "worlds", None)
    return own.masked if isinstance(own, Worlds) else None


def _form(space: gym.Space[object]) -> tuple[object, ...]:
    return type(space), space.shape, getattr(space, "n", None)
