"""Plays complete episodes, assigned to environments in advance, so that short episodes are not favored."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, cast

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

from agents.agent import Agent
from agents.machine import torch_threads
from agents.rollout import Actor, Array, Choice, Context
from envs import Backend, EnvLike, Variant, Worlds, evaluation_backend, make
from envs.spaces import factors
from envs.streams import stream_generator, stream_seeds

_MAX_ENVS = 20
CUTOFF_STEPS = 30_000  # limit for episodes of environments without a time limit


class EpisodeStep(NamedTuple):
    """One step of N environments, and the episode that each of them plays."""

    obs: Array  # [N, …]
    choice: Choice
    legal: NDArray[np.bool_] | None  # [N, A], legal actions
    reward: NDArray[np.float64]  # [N]
    next_obs: Array  # [N, …], true successors
    terminated: NDArray[np.bool_]  # [N]
    truncated: NDArray[np.bool_]  # [N], by the environment or by the cut-off
    cut: NDArray[np.bool_]  # [N], cut off by the player
    episode: NDArray[np.int64]  # index; −1 if the environment has no episode left to play


class EpisodePlayer(NamedTuple):
    """Plays a number of complete episodes with an actor."""

    worlds: Worlds
    variant: Variant
    episodes: int
    generator: torch.Generator
    cutoff: float  # length at which an episode is cut off

    def play(self, actor: Actor, deterministic: bool) -> Iterator[EpisodeStep]:
        """Yields every step until the last episode has ended. Environment k mod N plays episode k."""
        worlds, n = self.worlds, self.worlds.num_envs
        episode = np.where(np.arange(n) < self.episodes, np.arange(n), -1)
        played = np.zeros(n, np.int64)
        obs, _ = worlds.reset()
        context = Context(worlds.legal)
        while (episode >= 0).any():
            choice = actor.act(obs, deterministic, self.generator, context)
            after, reward, terminated, truncated, infos = worlds.step(choice.action.numpy(force=True))
            played += 1
            cut = (played >= self.cutoff) & ~(terminated | truncated)
            over = terminated | truncated | cut
            next_obs = cast(Array, infos["next_obs"])
            truncated = truncated | cut
            yield EpisodeStep(obs, choice, context.legal, reward, next_obs, terminated, truncated, cut, episode.copy())
            episode[over & (episode >= 0)] += n
            episode[episode >= self.episodes] = -1
            played[over] = 0
            obs = worlds.reset(options={"reset_mask": cut})[0] if cut.any() else after
            context = context.after(choice, worlds.legal, over)


@contextmanager
def episode_player(
    agent: object, env: EnvLike, episodes: int, seed: int, variant: Variant | None, backend: Backend | None,
    max_steps: int | None = None,
) -> Iterator[EpisodePlayer]:  # fmt: skip
    """Opens the environments that `evaluate` and `record` play in. See `agents.evaluation.evaluate` for the arguments.

    agent: an actor. If it has `env`, `obs_space` or `worlds`, as an `Agent` has, they supply defaults and are checked.
    Environments built here are closed at the end; an environment object that the agent trains on is reset.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, got {episodes}")
    count = min(episodes, _MAX_ENVS) if isinstance(env, str) else None
    start = stream_seeds(seed, "evaluation", 1)[0]
    trained = agent if isinstance(agent, Agent) else None
    same = trained is not None and (env is trained.env or (isinstance(env, str) and env == trained.env))
    origin = trained.worlds.origin if trained and same else None
    variant = variant if variant is not None else origin.variant if origin else Variant()
    timeout = origin.step_timeout if origin and backend is None else None
    backend = backend if backend is not None else evaluation_backend(origin.backend) if origin else "auto"
    masks = _obeys_masks(agent)
    worlds = make(env, count, start, variant=variant, backend=backend, action_masks=masks, step_timeout=timeout)
    try:
        _check_spaces(agent, worlds)
        with torch_threads(1):
            cutoff = cutoff_of(worlds, episodes, max_steps)
            yield EpisodePlayer(worlds, variant, episodes, stream_generator(seed, "evaluation"), cutoff)
    finally:
        if not isinstance(env, gym.Env | gym.vector.VectorEnv):  # an environment object is closed by the caller
            worlds.close()
        elif trained is not None and trained.env is env:
            trained.loop.use(trained.worlds)


def cutoff_of(worlds: Worlds, episodes: int, max_steps: int | None) -> float:
    """The length at which an episode is cut off; infinity if the environment is known to truncate it.

    max_steps: for all episodes together, divided equally among them; None for no limit.
    """
    limited = worlds.origin.variant.max_episode_steps is not None or worlds.has_time_limit
    share = np.inf if max_steps is None else max(max_steps // episodes, 1)
    return min(share, np.inf if limited else CUTOFF_STEPS)


def _check_spaces(agent: object, worlds: Worlds) -> None:
    """Raises ValueError if the agent has spaces that differ in form from those of the worlds."""
    expected, actual = getattr(agent, "obs_space", None), worlds.obs_space
    if expected is not None and _form(expected) != _form(actual):
        raise ValueError(f"the agent was trained on observations {expected}; {worlds.env_id} gives {actual}")
    own = getattr(agent, "worlds", None)
    acted, taken = own.policy_action_space if isinstance(own, Worlds) else None, worlds.policy_action_space
    if acted is not None and (type(acted), acted.shape, factors(acted)) != (type(taken), taken.shape, factors(taken)):
        raise ValueError(f"the agent was trained on actions {acted}; {worlds.env_id} takes {taken}")


def _obeys_masks(agent: object) -> bool | None:
    """Whether the agent obeys action masks; None, for an actor without worlds, leaves it to the environment."""
    worlds = getattr(agent, "worlds", None)
    return worlds.masked if isinstance(worlds, Worlds) else None


def _form(space: gym.Space[object]) -> tuple[object, ...]:
    return isinstance(space, gym.spaces.Discrete), space.shape, getattr(space, "n", None)
