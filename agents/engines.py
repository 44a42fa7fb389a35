"""Engines compute an agent's actions and updates: compiled kernels where they fit, torch elsewhere."""

from collections.abc import Callable, Sequence
from typing import Protocol, cast

import torch
from gymnasium import spaces
from torch import Generator, Tensor

from agents.learner import Learner
from agents.loop import RunChunk
from agents.networks.forward import Objective, policy_step
from agents.rollout import Array, Choice, Context, Metrics, Rollout
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

    def compile(self, worlds: Worlds, on_compile: OnCompile = None) -> None:
        """Compiles or loads the kernels for these worlds; calls on_compile before the first compilation."""

    def compile_update(self, worlds: Worlds, on_compile: OnCompile = None) -> None:
        """The same for `act` and `update` only, if the caller collects the rollouts."""


class TorchEngine:
    """The reference engine. objective(rollout, progress) is the algorithm's loss."""

    name, chunk = "torch", None

    def __init__(self, learner: Learner, objective: Callable[[Rollout, float], Objective], note: str = "") -> None:
        """note: why no faster engine is used, for `describe`."""
        self.learner, self.objective, self.note = learner, objective, note

    @torch.no_grad()
    def act(self, obs: Array, deterministic: bool, generator: Generator | None, context: Context) -> Choice:
        """a ~ π_θ(·|s), or its mode. Without a generator, the noise of gSDE continues from step to step."""
        learner = self.learner
        pi, hidden, state = policy_step(learner.policy, learner.encoded(torch.as_tensor(obs)), context)
        if deterministic:
            action = pi.mode()
        elif learner.noise is not None and generator is None:
            action = learner.noise(pi, hidden, cast(Tensor, learner.policy.log_std), learner.generator)
        else:
            action = pi.sample(generator or learner.generator)
        return Choice(action, pi.raw, state)

    def update(self, batch: Rollout, progress: float) -> Metrics:
        self.learner.observe_rewards(batch)
        return self.learner.descend(self.objective(batch, progress), batch, progress)

    def compile(self, worlds: Worlds, on_compile: OnCompile = None) -> None: ...
    def compile_update(self, worlds: Worlds, on_compile: OnCompile = None) -> None: ...

    def describe(self) -> str:
        threads = self.learner.settings.threads
        text = f"torch {torch.__version__} on CPU, {threads} thread{'s' if threads > 1 else ''}"
        return f"{text}; {self.note}" if self.note else text


def choose(
    learner: Learner, objective: Callable[[Rollout, float], Objective], available: Sequence[str], reason: str
) -> Engine:
    """The requested engine; auto chooses the fastest that fits.

    available: names of the engines that implement the algorithm; reason: why the others do not.
    Raises ConfigError if the settings ask for an engine that does not fit.
    """
    requested = learner.settings.engine
    if requested == "torch":
        return TorchEngine(learner, objective)
    obstacle = _obstacle(learner) if "fused" in available else reason
    if obstacle and requested == "fused":
        raise ConfigError(f"engine fused does not fit: {obstacle}")
    if obstacle:
        return TorchEngine(learner, objective, f"not fused: {obstacle}")
    from agents.fused.engine import Fused  # imports Numba

    return Fused(learner)


def _obstacle(learner: Learner) -> str:
    """Why the compiled kernels cannot train this learner; empty if they can."""
    settings = learner.settings
    if settings.threads > 1:
        return f"it runs on one thread, threads is {settings.threads}"
    if settings.layer_norm or settings.activation == "leaky_relu":
        return "it has tanh and ReLU units without layer normalization"
    if not learner.policy.trunk.empty:
        return "it has plain hidden layers only: no convolutions, recurrent or shared layers, or custom modules"
    if not isinstance(learner.actions, spaces.Box | spaces.Discrete):
        return f"it has Discrete and Box actions, these are {type(learner.actions).__name__}"
    for name in ("use_sde", "squash_output", "state_dependent_std"):
        if getattr(settings, name):
            return f"it has Gaussians with a state-independent log-std only, {name} is true"
    if learner.masked:
        return "it does not support action masks"
    if torch.get_default_device().type != "cpu":
        return f"it runs on the CPU, torch's default device is {torch.get_default_device()}"
    return ""
