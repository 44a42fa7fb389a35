"""Which engine an agent runs on: compiled kernels where they fit, else torch, and why."""

from importlib.metadata import version
from typing import TYPE_CHECKING

import torch
from gymnasium import spaces

from agents.settings.values import ConfigError

if TYPE_CHECKING:
    from agents.a2c import A2C
    from agents.fused.engine import Fused


def choose(agent: "A2C") -> "tuple[Fused | None, str]":
    """The fused engine of the agent, or None for torch; and a word on why, empty where torch was asked for.

    Raises ConfigError if `fused` is asked for and does not fit.
    """
    if agent.engine == "torch":
        return None, ""
    obstacle = _obstacle(agent)
    if obstacle and agent.engine == "fused":
        raise ConfigError(f"engine fused does not fit: {obstacle}")
    if obstacle:
        return None, f"not fused: {obstacle}"
    from agents.fused.engine import Fused

    return Fused(agent), ""


def use_torch(agent: "A2C", reason: str) -> None:
    """Gives the agent the torch engine, for an algorithm around it. Raises ConfigError if `fused` is asked for."""
    if agent.engine == "fused":
        raise ConfigError(f"engine fused does not fit: {reason}")
    agent.fused, agent.engine_note = None, f"not fused: {reason}"


def _obstacle(agent: "A2C") -> str:
    if agent.threads > 1:
        return f"it runs on one thread, threads is {agent.threads}"
    for name in ("act", "update", "_estimate", "_inputs", "encoded", "objective", "descend"):
        if getattr(type(agent), name).__module__ != "agents.a2c":
            return f"{type(agent).__name__} has its own {name}"
    if not agent.policy.trunk.empty:
        return "it has plain hidden layers only: no convolutions, memory, shared layers or modules of one's own"
    actions = agent.worlds.policy_action_space
    if not isinstance(actions, spaces.Box | spaces.Discrete):
        return f"it has Discrete and Box actions, these are {type(actions).__name__}"
    for name in ("use_sde", "squash_output", "state_dependent_std"):
        if getattr(agent, name):
            return f"it has Gaussians of a fixed log-std only, {name} is true"
    if agent.worlds.masked:
        return "it does not know action masks"
    if torch.get_default_device().type != "cpu":
        return f"it runs on the CPU, torch's default device is {torch.get_default_device()}"
    return ""


def describe(agent: "A2C") -> str:
    """The engine in use, for the header of a run."""
    if agent.fused:
        return f"fused (Numba {version('numba')}), one thread of the CPU"
    threads = f"{agent.threads} thread{'s' if agent.threads > 1 else ''}"
    note = f"; {agent.engine_note}" if agent.engine_note else ""
    return f"torch {torch.__version__} on CPU, {threads}{note}"
