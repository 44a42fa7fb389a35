"""A2C, PPO and streaming actor-critic as compiled kernels: the same updates, same memory, without the interpreter."""

from pathlib import Path

from agents import averages, minibatches, ranks, step_rules, traces
from agents.maths import adaptation, schedules
from envs.backends import native_physics
from envs.kernels import register_sources

_COMPILED_IN = (adaptation, averages, minibatches, ranks, schedules, native_physics, step_rules, traces)

register_sources(
    __name__, [*Path(__file__).parent.glob("*.py"), *(Path(str(module.__file__)) for module in _COMPILED_IN)]
)
