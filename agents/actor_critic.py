"""`ActorCritic`: what algorithms with a policy π_θ and a value network V_φ share."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from torch import Generator, nn

from agents.agent import Algorithm
from agents.base_learner import BaseLearner
from agents.engines import Engine, TorchEngine, choose
from agents.loop import RunChunk
from agents.networks.actor_critic import Policy, Value
from agents.rollout import NO_CONTEXT, Array, Choice, Context, Metrics, Rollout
from agents.settings.actor_critic import ActorCriticSettings


class ActorCritic(ActorCriticSettings, Algorithm):
    """π_θ and V_φ in a learner, with which an engine acts and which it trains.

    A subclass defines `new_learner`; `learn_from`, the update that the torch engine makes; and `fused_engine`.
    """

    learner: BaseLearner
    active_engine: Engine
    engines: ClassVar[tuple[str, ...]] = ("fused", "torch")

    def build(self, generator: Generator) -> None:
        self.learner = self.new_learner(generator)
        self.use_engines(self.engines, f"{type(self).__name__} does not declare it in `engines`")

    @abstractmethod
    def new_learner(self, generator: Generator) -> BaseLearner:
        """A learner with new networks. generator: random numbers for their initial parameters."""

    @abstractmethod
    def learn_from(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        """The update, in torch. See `update`."""

    @abstractmethod
    def fused_engine(self) -> Engine:
        """The compiled engine on this learner. Imports Numba."""

    def act(
        self, obs: Array, deterministic: bool = False, generator: Generator | None = None, context: Context = NO_CONTEXT
    ) -> Choice:
        """a ~ π_θ(·|s), or its mode. obs: [N, …]; generator: the agent's own by default."""
        return self.active_engine.act(obs, deterministic, generator, context)

    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        """One update on a rollout, by the engine in use; progress: the fraction of training done, for schedules.

        Raises FloatingPointError if the gradient or the TD error is not finite, before any parameter changes, or if
        the policy moved infinitely far.
        """
        return self.active_engine.update(batch, progress)

    @property
    def policy(self) -> Policy:
        return self.learner.policy

    @property
    def value(self) -> Value:
        return self.learner.value

    @property
    def networks(self) -> list[nn.Module]:
        return [self.policy, self.value]

    @property
    def engine_in_use(self) -> str:
        return self.active_engine.name

    @property
    def chunk(self) -> RunChunk | None:
        return self.active_engine.chunk

    def on_reset(self) -> None:
        self.learner.on_reset()

    def compile(self, on_compile: Callable[[], None] | None = None) -> None:
        self.active_engine.compile(self.worlds, on_compile)

    def use_engines(self, available: Sequence[str], reason: str) -> None:
        """Chooses the engine. reason: why other engines do not fit. Raises ConfigError if the settings ask for one."""
        obstacle = self.learner.obstacle() if "fused" in available else reason
        self.active_engine = choose(
            self.engine, lambda note: TorchEngine(self.learner, self, note), self.fused_engine, obstacle
        )

    def describe(self) -> dict[str, str]:
        hint = self.policy.head.hint()
        return {
            **super().describe(),
            **self.learner.describe(),
            **({"actions": hint} if hint else {}),
            "engine": self.active_engine.describe(),
        }
