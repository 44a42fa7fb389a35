"""`python -m tests.kernels`: compiles the kernels that most tests need, each in one process, then loads them.

Otherwise two test processes that need a kernel at the same time would both compile it. Compiled and loaded kernels
must compute the same: LLVM may order sums differently wherever it inlines them.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context

import torch

from agents import registry
from agents.actor_critic import ActorCritic

CASES = list(product(("stream", "ppo", "a2c"), (torch.float32, torch.float64)))


def build(name: str, dtype: torch.dtype, backend: str) -> ActorCritic:
    torch.set_default_dtype(dtype)
    shape = {} if name == "stream" else {"num_envs": 2, "n_steps": 4}
    agent = registry.build(name, "CartPole-v1", {"engine": "fused", "seed": 0, "backend": backend, **shape})
    assert isinstance(agent, ActorCritic)
    return agent


def compile_kernels(name: str, dtype: torch.dtype) -> list[str]:
    """For native and other worlds, and for rollouts collected elsewhere; returns the result of `trained`."""
    other = build(name, dtype, "sync")
    other.compile()
    other.active_engine.compile_update(other.worlds)
    return trained(name, dtype)


def trained(name: str, dtype: torch.dtype) -> list[str]:
    """Sums of the parameters after 4,000 steps."""
    agent = build(name, dtype, "native")
    agent.compile()
    agent.learn(4000)
    return [float(p.detach().double().sum()).hex() for net in agent.networks for p in net.parameters()]


def main() -> None:
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        compiled = list(pool.map(compile_kernels, *zip(*CASES, strict=True)))
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        loaded = list(pool.map(trained, *zip(*CASES, strict=True)))
    if different := [case for case, a, b in zip(CASES, compiled, loaded, strict=True) if a != b]:
        sys.exit(f"kernels compute otherwise when they are loaded than when they were just compiled: {different}")


if __name__ == "__main__":
    main()
