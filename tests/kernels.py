"""`python -m tests.kernels`: compiles the kernels that most tests need, each in one process.

Two test processes that meet a kernel at the same time would both compile it.
"""

from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context

import torch

from agents import registry
from agents.agent import Agent
from agents.rollout import collect


def compile_kernels(name: str, dtype: torch.dtype) -> None:
    """Of an agent, in this precision: on native worlds, on others, and for rollouts that were collected elsewhere."""
    torch.set_default_dtype(dtype)
    settings = {"engine": "fused"} if name == "stream" else {"engine": "fused", "num_envs": 2, "n_steps": 4}
    for backend in ("native", "sync"):
        agent: Agent = registry.build(name, "CartPole-v1", {**settings, "backend": backend})
        agent.compile()
    if name == "stream" and dtype == torch.float32:
        return  # tests let streams learn from such rollouts in double precision only
    rollout, _, _ = collect(agent.worlds, agent, agent.worlds.reset()[0], agent.n_steps, 0)
    agent.update(rollout)


def main() -> None:
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        tasks = product(("stream", "ppo", "a2c"), (torch.float32, torch.float64))
        list(pool.map(compile_kernels, *zip(*tasks, strict=True)))


if __name__ == "__main__":
    main()
