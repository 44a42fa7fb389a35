"""Engines compute an agent's actions and updates: compiled kernels if they support it, otherwise torch."""

from collections.abc import Callable, Hashable
from functools import cache
from inspect import isfunction
from typing import Protocol, cast

import torch
from torch import Generator, Tensor

from agents.devices import described, moved
from agents.loop import RunChunk
from agents.maths.distributions import Distribution
from agents.networks.actor_critic import Policy
from agents.networks.forward import policy_step
from agents.networks.heads import StateDependentNoise
from agents.ranks import Ranks
from agents.rollout import Array, Choice, Context, Metrics, Rollout
from agents.settings.actor_critic import ActorCriticSettings
from agents.settings.values import ConfigError
from envs import Worlds

OnCompile = Callable[[], None] | None


class Engine(Protocol):
    """Acts with and trains the networks of a `Learner`."""

    @property
    def name(self) -> str: ...
    @property
    def chunk(self) -> RunChunk | None:
        """A function that makes several iterations in one call; None if the engine has none."""

    def act(self, obs: Array, deterministic: bool, generator: Generator | None, context: Context) -> Choice: ...
    def update(self, batch: Rollout, progress: float) -> Metrics: ...
    def describe(self) -> str: ...

    def unseen_change(self, replaced: str) -> str:
        """A change since the engine was built that the engine does not see; empty if there is none.

        replaced: the first of the algorithm's methods that was replaced, or "".
        """

    def compile(self, worlds: Worlds, on_compile: OnCompile = None) -> None:
        """Compiles or loads the kernels for these worlds; calls on_compile before the first compilation."""

    def compile_update(self, worlds: Worlds, on_compile: OnCompile = None) -> None:
        """Like `compile`, for `act` and `update` only, if the caller collects the rollouts."""


class Actor(Protocol):
    """What the torch engine uses of a learner to act."""

    policy: Policy
    noise: StateDependentNoise | None
    generator: Generator
    device: torch.device
    ranks: Ranks

    @property
    def threads(self) -> int: ...
    def encoded(self, obs: Tensor) -> Tensor: ...
    def policy_for(self, deterministic: bool) -> Policy: ...


class Learning(Protocol):
    """What the torch engine uses of an algorithm to learn."""

    def learn_from(self, batch: Rollout, progress: float = 0.0) -> Metrics: ...


class TorchEngine:
    """The reference engine: the algorithm's own update."""

    name, chunk = "torch", None

    def __init__(self, learner: Actor, algorithm: Learning, note: str = "") -> None:
        """note: why no faster engine is used, for `describe`."""
        self.learner, self.algorithm, self.note = learner, algorithm, note

    @torch.no_grad()
    def act(self, obs: Array, deterministic: bool, generator: Generator | None, context: Context) -> Choice:
        """a ~ π_θ(·|s), or its mode. Without a generator, gSDE's noise continues from step to step."""
        learner, policy = self.learner, self.learner.policy_for(deterministic)
        if policy.training:
            policy.eval()
        seen = moved(torch.as_tensor(obs), learner.device)
        pi, hidden, state = policy_step(policy, learner.encoded(seen), context)
        if deterministic:
            action = pi.mode()
        elif learner.noise is not None and generator is None:
            action = learner.noise(pi, hidden.cpu(), cast(Tensor, policy.log_std).cpu(), learner.generator)
        else:
            action = self._sampled(pi, policy, generator)
        return Choice(action, pi.raw, state, seen)

    def _sampled(self, pi: Distribution, policy: Policy, generator: Generator | None) -> Tensor:
        """Without a generator, every rank draws the numbers of all environments, so they equal those of one process."""
        ranks = self.learner.ranks
        if ranks.alone or generator is not None:
            return pi.sample(generator or self.learner.generator)
        everywhere = policy.distribution(torch.cat([pi.raw] * ranks.count))
        return everywhere.sample(self.learner.generator)[ranks.own(len(pi.raw) * ranks.count)]

    def update(self, batch: Rollout, progress: float) -> Metrics:
        return self.algorithm.learn_from(batch.to(self.learner.device), progress)

    def unseen_change(self, replaced: str) -> str:
        return ""

    def compile(self, worlds: Worlds, on_compile: OnCompile = None) -> None: ...
    def compile_update(self, worlds: Worlds, on_compile: OnCompile = None) -> None: ...

    def describe(self) -> str:
        threads, device = self.learner.threads, described(self.learner.device)
        text = f"torch {torch.__version__} on {device}, {threads} thread{'s' if threads > 1 else ''}"
        return f"{text}; {self.note}" if self.note else text


def choose(requested: str, torch_engine: Callable[[str], Engine], fused: Callable[[], Engine], obstacle: str) -> Engine:
    """The requested engine; auto chooses the compiled one if it fits.

    torch_engine: builds one from a note on why it is used; obstacle: why the compiled one does not fit.
    Raises ConfigError if the compiled engine is requested and does not fit.
    """
    if requested == "torch":
        return torch_engine("")
    if obstacle and requested == "fused":
        raise ConfigError(f"engine fused does not fit: {obstacle}")
    return torch_engine(f"not fused: {obstacle}") if obstacle else fused()


def replaced_method(*objects: object) -> str:
    """The first method replaced on an object itself, as in agent.update = f; empty if there is none."""
    for each in objects:
        methods = _methods(cast(Hashable, type(each)))
        if not methods.isdisjoint(vars(each)):
            return f"{type(each).__name__}.{next(name for name in vars(each) if name in methods)}"
    return ""


@cache
def _methods(cls: Hashable) -> frozenset[str]:
    return frozenset(name for name in dir(cls) if isfunction(getattr(cls, name, None)))


def network_obstacle(settings: ActorCriticSettings, policy: Policy, device: torch.device) -> str:
    """Why no compiled engine supports these networks; empty if one does."""
    if settings.threads > 1:
        return f"it runs on one thread, threads is {settings.threads}"
    if policy.trunk.encoder is not None or policy.trunk.memory is not None:
        return "it has plain hidden layers only: no convolutions, recurrent layers, or custom modules"
    if device.type != "cpu":
        return f"it runs on the CPU, device is {settings.device}"
    if torch.get_default_device().type != "cpu":
        return f"it runs on the CPU, torch's default device is {torch.get_default_device()}"
    return ""
