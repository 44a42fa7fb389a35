"""Base class for algorithms that wrap an A2C."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from torch import Generator, nn

from agents.a2c import A2C
from agents.agent import Agent
from agents.loop import Loop
from agents.maths.schedules import Schedule, lowest
from agents.ppo import PPO
from agents.ranks import refuse_several
from agents.rollout import NO_CONTEXT, Array, Choice, Context
from agents.settings.schema import convert_settings, setting_types, setting_values
from agents.settings.values import ConfigError
from envs import EnvLike, Worlds


@dataclass(eq=False)
class AgentWrapper(Agent):
    """An algorithm that trains the networks of an A2C, using that A2C's optimizer, normalizers and environments.

    A subclass defines `update` or `chunk`. Its settings are its fields other than `agent`.
    Raises ConfigError, a ValueError, on a setting out of range.
    """

    changeable: ClassVar[tuple[str, ...]] = ()
    held: ClassVar[dict[str, str]] = {
        **Agent.held,
        **dict.fromkeys(("env", "seed", "threads", "n_steps"), "it follows from the wrapped agent; build another"),
    }

    agent: A2C

    wrapped: ClassVar[type[A2C]] = A2C
    wraps = A2C.name
    obstacle: ClassVar[str] = ""  # why the fused engine cannot run the algorithm; empty if it can

    def __post_init__(self) -> None:
        refuse_several(self.name)
        agent, name = self.agent, type(self).__name__
        inner = self.wrapped.__name__
        if not isinstance(agent, self.wrapped):
            raise ConfigError(f"{name} wraps one {inner}, as in {name}({inner}(env), …), got {agent!r}")
        if isinstance(agent, PPO) and not issubclass(self.wrapped, PPO):
            of_ppo = [cls.__name__ for cls in type(self).__subclasses__() if issubclass(cls.wrapped, PPO)]
            raise ConfigError(f"{name} wraps an A2C, not a PPO{f': {of_ppo[0]} does' if of_ppo else ''}")
        convert_settings(self, type(self))
        self.env, self.seed, self.threads, self.n_steps = agent.env, agent.seed, agent.threads, agent.n_steps
        self.worlds, self.obs_space, self.predicting = agent.worlds, agent.obs_space, agent.predicting
        if self.obstacle:
            agent.use_engines(("torch",), self.obstacle)
        self.prepare()
        self.loop = Loop(self, self.worlds, self.seed)

    if not TYPE_CHECKING:  # as in `BuiltSettings`

        def __setattr__(self, name: str, value: object) -> None:
            """Raises ConfigError on a setting of the wrapped agent, since nothing reads it here."""
            cls = type(self)
            inner, own = cls.wrapped.__dataclass_fields__, cls.__dataclass_fields__
            if "loop" in vars(self) and name in inner and name not in own and name not in cls.held:
                raise ConfigError(f"{name} is a setting of the wrapped agent: assign to {cls.__name__}.agent.{name}")
            super().__setattr__(name, value)

    def copy_worlds(self, num_envs: int) -> Worlds:
        """New environments for a copy of the A2C."""
        return self.agent.worlds

    def set_env(self, env: EnvLike) -> None:
        """See `agents.algorithm.Algorithm.set_env`."""
        self.agent.set_env(env)
        vars(self).update(env=self.agent.env, worlds=self.agent.worlds)  # past the guard of a built agent
        self.loop.use(self.worlds)

    def prepare(self) -> None:
        """Validates the settings and builds what the algorithm adds. Raises ConfigError for invalid settings."""

    def act(
        self, obs: Array, deterministic: bool = False, generator: Generator | None = None, context: Context = NO_CONTEXT
    ) -> Choice:
        return self.agent.act(obs, deterministic, generator, context)

    def on_reset(self) -> None:
        self.agent.on_reset()

    def compile(self, on_compile: Callable[[], None] | None = None) -> None:
        self.agent.active_engine.compile_update(self.agent.worlds, on_compile)

    def warm_start(self, run: str | Path) -> None:
        self.agent.warm_start(run)

    @property
    def engine_in_use(self) -> str:
        return self.agent.engine_in_use

    @property
    def settings(self) -> dict[str, object]:
        return self.agent.settings | setting_values(self)

    @property
    def recurrent(self) -> bool:
        return self.agent.recurrent

    @property
    def networks(self) -> list[nn.Module]:
        return self.agent.networks

    def describe(self) -> dict[str, str]:
        return {"algorithm": self.summary(), **self.agent.describe()}

    def summary(self) -> str:
        """One line that says what the algorithm learns from."""
        raise NotImplementedError

    @classmethod
    def settings_classes(cls) -> tuple[type, ...]:
        return (cls.wrapped, cls)

    @classmethod
    def build_from(cls, env: EnvLike, settings: Mapping[str, object]) -> Self:
        """Wraps a new A2C or PPO. settings: those of the A2C or PPO, and of the algorithm."""
        inner, of_algorithm = (
            {key: settings[key] for key in setting_types(kind) if key in settings} for kind in (cls.wrapped, cls)
        )
        return cls(cls.wrapped.build_from(env, inner), **of_algorithm)


def check_at_least(bound: float, **settings: Schedule) -> None:
    """Raises ConfigError if a setting falls below the bound at any point of its schedule."""
    for name, value in settings.items():
        if lowest(value) < bound:
            raise ConfigError(f"{name} must be at least {bound:g}, got {value}")
