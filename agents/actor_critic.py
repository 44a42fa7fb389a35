"""`ActorCritic`: shared by algorithms with a policy π_θ and a value network V_φ."""

import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

from gymnasium import spaces
from torch import Generator, nn

from agents import checkpoint
from agents.algorithm import Algorithm
from agents.base_learner import BaseLearner
from agents.engines import Engine, TorchEngine, choose, replaced_method
from agents.loop import RunChunk
from agents.networks.actor_critic import Policy, Value
from agents.rollout import NO_CONTEXT, Array, Choice, Context, Metrics, Rollout, check_rollout
from agents.settings.actor_critic import ActorCriticSettings
from agents.settings.recipes import recipe_settings
from agents.settings.run import SECTIONS
from agents.settings.values import ConfigError
from envs.spaces import factors

_METHODS = (  # that make up an update
    "act", "update", "learn_from", "objective", "policy_loss", "value_loss", "advantages", "samples", "loss",
)  # fmt: skip


class ActorCritic(ActorCriticSettings, Algorithm):
    """π_θ and V_φ in a learner; an engine acts with them and trains them.

    A subclass defines `new_learner`, `learn_from` (the torch engine's update) and `fused_engine`.
    """

    held: ClassVar[dict[str, str]] = {
        **Algorithm.held,
        "learner": "the engine holds it; change what is inside, or load a state_dict",
        "policy": "assign to one of its modules, as in agent.policy.net[0] = …, or load a state_dict",
        "value": "assign to one of its modules, as in agent.value.net[0] = …, or load a state_dict",
    }

    learner: BaseLearner
    engines: ClassVar[tuple[str, ...]] = ("torch",)  # engines that compute what the class defines

    _written: ClassVar[dict[str, object]] = {}  # the update's methods as the class defines them

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "engines" not in vars(cls):
            cls.engines = ("torch",)
        cls._written = {name: getattr(cls, name) for name in _METHODS if hasattr(cls, name)}

    def build(self, generator: Generator) -> None:
        self.learner = self.new_learner(generator)
        if self.step_rows == 1 and any(
            isinstance(m, nn.BatchNorm1d) for network in self.networks for m in network.modules()
        ):
            raise ConfigError("batch normalization needs more than one step per update; take nn.LayerNorm instead")
        self.use_engines(self.engines, f"{type(self).__name__} does not declare it in `engines`")

    @property
    def step_rows(self) -> int:
        """Rows of a rollout in a gradient step; the last step of a rollout or of training may have fewer."""
        return self.worlds.num_envs * self.n_steps

    @abstractmethod
    def new_learner(self, generator: Generator) -> BaseLearner:
        """A learner with new networks. generator: random numbers for their initial parameters."""

    @abstractmethod
    def learn_from(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        """The update, in torch. See `update`."""

    @abstractmethod
    def fused_engine(self) -> Engine:
        """The compiled engine for this learner. Imports Numba."""

    @classmethod
    def from_recipe(cls, env_id: str, seed: int = 0) -> Self:
        """An agent with the tuned settings of an environment's recipe, as in `python -m rl.train`.

        Raises ConfigError if there is no recipe.
        """
        agent = cls.name if cls.name in SECTIONS else "a2c"
        return cls.build_from(env_id, recipe_settings(env_id, agent, cls) | {"seed": seed})

    @classmethod
    def load_source(cls, run: str | Path, device: str = "cpu") -> Self:
        """Loads networks to copy or to learn from: of this class, of a subclass such as PPO, or of a wrapped agent.

        On the torch engine, and without environments. Raises as `load` does.
        """
        name = checkpoint.read(run).actor().agent
        kind = next((each for each in (cls, *cls.__subclasses__()) if each.name == name), cls)
        source = kind.load(run, engine="torch", device=device)
        source.worlds.close()
        return source

    def act(
        self, obs: Array, deterministic: bool = False, generator: Generator | None = None, context: Context = NO_CONTEXT
    ) -> Choice:
        """a ~ π_θ(·|s), or its mode. obs: [N, …]; generator: the agent's own by default."""
        engine = self.active_engine if generator is None else self._engine()  # in training, `update` checks for changes
        return engine.act(obs, deterministic, generator, context)

    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        """One update on a rollout, with the engine in use. progress: the fraction of training done, for schedules.

        Raises FloatingPointError if the gradient or the TD error is not finite (its step is not made; PPO may have made
        earlier ones), or if the policy moved infinitely far; ConfigError if the rollout is not one of this agent.
        """
        check_rollout(batch, *self._rollout_shapes)
        return self._engine().update(batch, progress)

    @cached_property
    def _rollout_shapes(self) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        """The shapes of an observation and of an action, and the number of a distribution's parameters."""
        head, observation = self.policy.head, self.obs_space.shape or ()
        if isinstance(head.actions, spaces.Box):
            return observation, (head.size,), 2 * head.size
        action = () if isinstance(head.actions, spaces.Discrete) else (len(factors(head.actions)),)
        return observation, action, head.size

    @property
    def policy(self) -> Policy:
        return self.learner.policy

    @property
    def value(self) -> Value:
        return self.learner.value

    @property
    def recurrent(self) -> bool:
        return self.gru_size is not None

    @property
    def networks(self) -> list[nn.Module]:
        return [self.policy, self.value]

    @property
    def engine_in_use(self) -> str:
        return self._engine().name

    @property
    def chunk(self) -> RunChunk | None:
        return self._engine().chunk

    def on_reset(self) -> None:
        self.learner.on_reset()

    def compile(self, on_compile: Callable[[], None] | None = None) -> None:
        self._engine().compile(self.worlds, on_compile)

    def use_engines(self, available: Sequence[str], reason: str) -> None:
        """Chooses the engine. reason: why others do not fit. Raises ConfigError if the settings ask for one of them."""
        self._offered = available, reason
        vars(self).pop("active_engine", None)
        assert self.active_engine

    @cached_property
    def active_engine(self) -> Engine:
        """The engine in use. A copy of an agent chooses its own, at first use."""
        available, reason = self._offered
        obstacle = self.learner.obstacle() if "fused" in available else reason
        return choose(self.engine, lambda note: TorchEngine(self.learner, self, note), self.fused_engine, obstacle)

    def __getstate__(self) -> dict[str, object]:
        """Leaves out the engine, which shares memory with the parameters: a copy makes its own."""
        return {name: value for name, value in super().__getstate__().items() if name != "active_engine"}

    def _engine(self) -> Engine:
        """The engine in use; switches to torch if a change was made that the compiled engine does not see.

        Raises ConfigError if the settings ask for the compiled engine.
        """
        if change := self.active_engine.unseen_change(self.changed_method(type(self))):
            self.use_engines(("torch",), f"it does not see the change of {change}")
            warnings.warn(
                f"{self.name} goes on with engine torch: the compiled one does not see the change of {change}",
                stacklevel=4,
            )
        return self.active_engine

    def changed_method(self, base: type["ActorCritic"]) -> str:
        """The first of the update's methods that differs from that of a base class; empty if none does."""
        cls = type(self)
        for name, method in base._written.items():
            if getattr(cls, name) is not method:
                return f"{cls.__name__}.{name}"
        return replaced_method(self)

    def describe(self) -> dict[str, str]:
        hint = self.policy.head.hint()
        return {
            **super().describe(),
            **self.learner.describe(),
            **({"actions": hint} if hint else {}),
            "engine": self.active_engine.describe(),
        }
