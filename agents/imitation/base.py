"""What the algorithms around an A2C have in common: they act as it does, and have a way to learn of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self, cast

from torch import Generator, nn

from agents import storage
from agents.a2c import A2C
from agents.engines import use_torch
from agents.loop import Chunks, Hook, Loop
from agents.machine import torch_threads
from agents.maths.schedules import Schedule, lowest
from agents.rollout import FREE, Array, Choice, Given, Metrics, Rollout
from agents.settings.schema import convert_settings, setting_types, setting_values
from agents.settings.values import ConfigError
from envs import Backend, EnvLike, Variant, Worlds
from envs.spaces import Flat


@dataclass(eq=False)
class Method:
    """An algorithm around `agent`, a whole A2C: its networks, optimizer, normalizers and environments are used as they
    are. A subclass says how it learns, by `update` or by `chunk`, and what of its own a checkpoint must hold.

    Its settings are its fields beside `agent`, whose `predict` acts on single observations. Raises ConfigError, a
    ValueError, on a setting out of range.
    """

    agent: A2C

    obstacle: ClassVar[str] = ""  # why the fused engine does not fit; nothing if it does

    def __post_init__(self) -> None:
        if not isinstance(self.agent, A2C):
            name = type(self).__name__
            raise ConfigError(f"{name} is built around an A2C, {name}(A2C(env), …), not around {self.agent!r}")
        convert_settings(self, type(self))
        if self.obstacle:
            use_torch(self.agent, self.obstacle)
        self.prepare()
        self.loop = Loop(self, self.worlds, self.seed)

    def prepare(self) -> None:
        """Builds what there is beside the A2C. Raises ConfigError where a setting does not fit, before it builds."""

    # --- what the loop asks for ---

    def act(
        self, obs: Array, deterministic: bool = False, generator: Generator | None = None, given: Given = FREE
    ) -> Choice:
        """See `A2C.act`."""
        return self.agent.act(obs, deterministic, generator, given)

    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        """Learns from a rollout; progress: the share of training done."""
        raise NotImplementedError

    @property
    def chunk(self) -> Chunks | None:
        """Several iterations in one call; None collects and updates."""
        return None

    @property
    def n_steps(self) -> int:
        return self.agent.n_steps

    def begin_episodes(self) -> None:
        """See `A2C.begin_episodes`."""
        self.agent.begin_episodes()

    # --- what runs and evaluations ask for ---

    @property
    def env(self) -> EnvLike:
        return self.agent.env

    @property
    def seed(self) -> int:
        return self.agent.seed

    @property
    def backend(self) -> Backend:
        return self.agent.backend

    @property
    def variant(self) -> Variant:
        return self.agent.variant

    @property
    def worlds(self) -> Worlds:
        return self.agent.worlds

    @property
    def obs_space(self) -> Flat:
        return self.agent.obs_space

    @property
    def engine_in_use(self) -> str:
        return self.agent.engine_in_use

    @property
    def settings(self) -> dict[str, object]:
        """Those of the A2C, and its own."""
        return self.agent.settings | setting_values(self)

    @property
    def networks(self) -> list[nn.Module]:
        """All that learn."""
        return self.agent.networks

    def describe(self) -> str:
        """What there is to know before training, in a line."""
        return ""

    # --- the interface ---

    def learn(self, total_timesteps: int, hooks: Sequence[Hook] = ()) -> Self:
        """See `A2C.learn`."""
        if self.agent.fused:
            self.agent.fused.warm_update(self.worlds)
        with torch_threads(self.agent.threads):
            self.loop.run(self.loop.step + total_timesteps, hooks)
        return self

    def save(self, path: str | Path, extra: Mapping[str, object] | None = None) -> Path:
        """See `A2C.save`."""
        return storage.save(self, path, extra)

    @classmethod
    def load(cls, path: str | Path, env: EnvLike | None = None) -> Self:
        """See `A2C.load`."""
        file, content = storage.read(path, cls.__name__)
        return storage.restore(cls.build, setting_types(A2C, cls), file, content, env)

    @classmethod
    def build(cls, env: EnvLike, settings: Mapping[str, object]) -> Self:
        """Around a new A2C. settings: of both, in one mapping."""
        inner, own = ({key: settings[key] for key in setting_types(kind) if key in settings} for kind in (A2C, cls))
        return cls(A2C.build(env, inner), **own)

    def state_dict(self) -> dict[str, object]:
        """All that learning and acting change."""
        return {"agent": self.agent.state_dict(), "own": self.own_state()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        self.agent.load_state_dict(cast("dict[str, object]", state["agent"]))
        self.set_own_state(cast("dict[str, object]", state["own"]))

    def own_state(self) -> dict[str, object]:
        """What there is beside the state of the A2C."""
        return {}

    def set_own_state(self, state: Mapping[str, object]) -> None:
        """The inverse of `own_state`."""


def check_at_least(bound: float, **settings: Schedule) -> None:
    """Raises ConfigError, which names the setting, if one is less at any moment of its schedule."""
    for name, value in settings.items():
        if lowest(value) < bound:
            raise ConfigError(f"{name} must be at least {bound:g}, got {value}")
