"""A2C, PPO and streaming actor-critic as compiled kernels: same updates, same memory, without the interpreter."""

from pathlib import Path

from agents import averages, minibatches, ranks, step_rules, traces
from agents.maths import adaptation, schedules
from agents.maths.information import gaussian
from agents.networks import heads as policy_heads
from envs import spaces
from envs.backends import native_physics
from envs.kernels import register_sources

_COMPILED_IN = (
    adaptation, averages, gaussian, minibatches, native_physics, policy_heads, ranks, schedules, spaces, step_rules,
    traces,
)  # fmt: skip

register_sources(
    __name__, [*Path(__file__).parent.glob("*.py"), *(Path(str(module.__file__)) for module in _COMPILED_IN)]
)
