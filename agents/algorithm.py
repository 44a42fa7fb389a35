"""`Algorithm`: an agent that builds its own environments; the base class for algorithms of your own."""

from abc import abstractmethod

import gymnasium as gym
from torch import Generator

from agents.agent import Agent, spaces_of
from agents.loop import Loop
from agents.machine import torch_threads
from agents.ranks import Ranks, current, refuse_several
from agents.settings.agent import AgentSettings
from agents.settings.values import ConfigError
from envs import EnvLike, Worlds, make
from envs.spaces import brief
from envs.streams import stream_generator

_OBJECTS = (gym.Env, gym.vector.VectorEnv)


class Algorithm(AgentSettings, Agent):
    """An agent that builds its own environments. A subclass is a dataclass: its fields are further settings.

    It defines `build`, which creates networks and optimizers as attributes, `act` and `update`.
    Raises ConfigError, a ValueError, on a setting out of range, and as `envs.make` does.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_ranks(current())
        self.worlds = self.new_worlds(self.env, self.num_envs)
        self.obs_space = self.worlds.obs_space
        self.predicting = stream_generator(self.seed, "predictions")
        with torch_threads(1):  # orthogonal initialization depends on the number of threads
            self.build(stream_generator(self.seed, "initialization"))
        self.loop = Loop(self, self.worlds, self.seed)

    def check_ranks(self, ranks: Ranks) -> None:
        """Raises ConfigError if the algorithm cannot learn on several ranks."""
        refuse_several(self.name)

    @property
    def part(self) -> tuple[int, int]:
        """This process's part of the environments, see `envs.make`."""
        ranks = current()
        return ranks.index, ranks.count

    def new_worlds(self, env: EnvLike, num_envs: int | None) -> Worlds:
        """Environments with the agent's settings. Raises what `envs.make` raises."""
        return make(
            env, num_envs, self.seed, variant=self.variant, backend=self.backend, action_masks=self.action_masks,
            step_timeout=self.step_timeout, on_crash=self.on_crash, part=self.part,
        )  # fmt: skip

    def copy_worlds(self, num_envs: int) -> Worlds:
        return self.new_worlds(self.env, None if isinstance(self.env, _OBJECTS) else num_envs)

    def set_env(self, env: EnvLike) -> None:
        """Switches training to other environments, with the same number and spaces; new episodes begin.

        Raises ConfigError if number or spaces differ, and what `envs.make` raises.
        """
        own = self.worlds
        worlds = self.new_worlds(env, None if isinstance(env, _OBJECTS) else own.total_envs)
        forms = ((f"num_envs={each.num_envs}", *spaces_of(each)) for each in (own, worlds))
        if different := [(brief(here), brief(there)) for here, there in zip(*forms, strict=True) if here != there]:
            if not isinstance(env, _OBJECTS):
                worlds.close()
            here, there = (" and ".join(side) for side in zip(*different, strict=True))
            raise ConfigError(f"set_env: the agent trains on {here}; {env} has {there}")
        if not isinstance(self.env, _OBJECTS):  # an environment object is closed by the caller
            own.close()
        vars(self).update(env=env, worlds=worlds)  # past the guard of a built agent
        self.loop.use(worlds)

    @abstractmethod
    def build(self, generator: Generator) -> None:
        """Creates networks and optimizers. generator: random numbers for the initial parameters."""
