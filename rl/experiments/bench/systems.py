"""The timed systems: each is a function that trains or steps for a number of environment steps."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from agents import A2C
from agents.machine import torch_threads
from agents.ppo import PPO
from agents.settings.actor_critic import Engine
from envs import Backend
from envs.backends.native import NativeBackend
from rl.experiments.executors.pool import processes

Run = Callable[[int], None]  # takes environment steps
Build = Callable[[], Run]
SEEDS, CORES = 16, 2
_ENV = "CartPole-v1"


class Shape(NamedTuple):
    """Number of parallel environments, and steps of each per update."""

    envs: int
    steps: int

    def __str__(self) -> str:
        return f"{self.envs} × {self.steps}"

    @property
    def rows(self) -> int:
        return self.envs * self.steps


class Passes(NamedTuple):
    """PPO's passes over a rollout."""

    size: int  # minibatch size
    epochs: int


def stable_baselines_ppo(shape: Shape, passes: Passes, env_id: str = _ENV) -> Run:
    """SB3's PPO with its own vector environment, logging nothing."""
    import stable_baselines3 as sb3
    from stable_baselines3.common.env_util import make_vec_env

    model = sb3.PPO(
        "MlpPolicy", make_vec_env(env_id, shape.envs, 0), n_steps=shape.steps, batch_size=passes.size,
        n_epochs=passes.epochs, seed=0, device="cpu",
    )  # fmt: skip

    def run(steps: int) -> None:
        with torch_threads(1):
            model.learn(steps, log_interval=10**9, reset_num_timesteps=False)

    return run


def ours_ppo(engine: Engine, shape: Shape, passes: Passes, env_id: str = _ENV) -> Run:
    """Our PPO with the same hyper-parameters as `stable_baselines_ppo`."""
    agent = PPO(
        env_id, num_envs=shape.envs, n_steps=shape.steps, batch_size=passes.size, n_epochs=passes.epochs, engine=engine
    )

    def run(steps: int) -> None:
        agent.learn(steps)

    return run


def stable_baselines(shape: Shape, env_id: str = _ENV, seed: int = 0) -> Run:
    """SB3's A2C with its own vector environment and its defaults, logging nothing."""
    import stable_baselines3 as sb3
    from stable_baselines3.common.env_util import make_vec_env

    envs = make_vec_env(env_id, shape.envs, seed)
    model = sb3.A2C("MlpPolicy", envs, n_steps=shape.steps, seed=seed, device="cpu")

    def run(steps: int) -> None:
        with torch_threads(1):
            model.learn(steps, log_interval=10**9, reset_num_timesteps=False)

    return run


def ours(engine: Engine, shape: Shape, env_id: str = _ENV, backend: Backend = "auto", seed: int = 0) -> Run:
    """Our A2C with the same hyper-parameters as `stable_baselines`."""
    agent = A2C(env_id, seed=seed, num_envs=shape.envs, n_steps=shape.steps, engine=engine, backend=backend)

    def run(steps: int) -> None:
        agent.learn(steps)

    return run


def gymnasium(shape: Shape, env_id: str = _ENV) -> Run:
    """Gymnasium's synchronous vector environment with random actions drawn in advance; no learning."""
    build = partial(gym.make, env_id, disable_env_checker=True)
    return stepping(SyncVectorEnv([build] * shape.envs, autoreset_mode=AutoresetMode.SAME_STEP))


def native(shape: Shape, env_id: str = _ENV) -> Run:
    """Like `gymnasium`, with our compiled worlds, called from Python once per step."""
    return stepping(NativeBackend(env_id, shape.envs))


def stepping(envs: gym.vector.VectorEnv) -> Run:
    """Steps environments with random actions drawn in advance; no learning."""
    envs.reset(seed=0)
    envs.action_space.seed(0)
    actions = [envs.action_space.sample() for _ in range(100)]

    def run(steps: int) -> None:
        for k in range(steps // envs.num_envs):
            envs.step(actions[k % 100])

    return run


def products(shape: Shape) -> Run:
    """Only the matrix products of an update, in the same shapes and with the same kernel: the limit of one core."""
    rows, more = shape.rows, shape.rows + shape.envs
    forward = [*_forward(rows, 4), *_forward(more, 4)]  # π_θ, and V_φ including the last successors
    return _multiplying([*forward, *_backward(rows, 4, 2), *_backward(rows, 4, 1)], rows)


def ppo_products(shape: Shape, size: int, epochs: int, inputs: int, outputs: int) -> Run:
    """Like `products`, for PPO's acting, its values of the rollout, and its epochs of minibatches."""
    rows, forward = shape.rows, list[Product]()
    forward += [product for _ in range(shape.steps) for product in _forward(shape.envs, inputs)]
    forward += _forward(rows + shape.envs, inputs)
    parts = [min(size, rows - begin) for begin in range(0, rows, size)]
    nets = [(part, heads) for part in parts for heads in (outputs, 1)] * epochs
    steps = [x for part, heads in nets for x in (*_forward(part, inputs), *_backward(part, inputs, heads))]
    return _multiplying([*forward, *steps], rows)


Product = tuple[int, int, int]


def _forward(rows: int, inputs: int) -> list[Product]:
    """Matrix products of a network with two layers of 64 units."""
    from agents.fused.vectors import PAD

    return [(rows, inputs, 64), (rows, 64, 64), (rows, 64, PAD)]


def _backward(rows: int, inputs: int, outputs: int) -> list[Product]:
    return [*((k, rows, j) for _, k, j in _forward(rows, inputs)), (rows, outputs, 64), (rows, 64, 64)]


def _multiplying(products: Sequence[Product], rows: int) -> Run:
    """Repeats the products of one update, which is on this many rows."""
    from numba import njit

    from agents.fused.matmul import matmul

    dimensions = np.array(products, np.int64)
    room = max(max(n * k, k * j, n * j) for n, k, j in products)
    flat = np.random.default_rng(0).normal(size=(2, room)).astype(np.float32)
    result, nothing = np.zeros(room, np.float32), np.zeros(64, np.float32)

    @njit
    def updates(count, dimensions, flat, result, nothing):  # type: ignore[no-untyped-def]
        for _ in range(count):
            for d in range(len(dimensions)):
                n, k, j = dimensions[d]
                x, w = flat[0, : n * k].reshape(n, k), flat[1, : k * j].reshape(k, j)
                matmul(x, w, nothing[:j], result[: n * j].reshape(n, j))

    def run(steps: int) -> None:
        updates(steps // rows, dimensions, flat, result, nothing)

    run(rows)
    return run


def in_threads(steps: int) -> float:
    """Seconds that both cores need for this many steps of 16 seeds (fused, 8 × 5 each), in threads."""
    runs = [ours("fused", Shape(8, 5), seed=seed) for seed in range(SEEDS)]
    for run in runs:
        run(4000)
    with ThreadPoolExecutor(CORES) as pool:
        start = time.perf_counter()
        list(pool.map(lambda run: run(steps), runs))
        return time.perf_counter() - start


def in_processes(train: Callable[[int, int], None], steps: int) -> float:
    """The same in two processes that are warm: train(seed, steps)."""
    with processes(CORES) as pool:
        list(pool.map(train, range(CORES * 2), [4000] * CORES * 2))
        start = time.perf_counter()
        list(pool.map(train, range(SEEDS), [steps] * SEEDS))
        return time.perf_counter() - start


def fused_seed(seed: int, steps: int) -> None:
    ours("fused", Shape(8, 5), seed=seed)(steps)


def stable_baselines_seed(seed: int, steps: int) -> None:
    stable_baselines(Shape(8, 5), seed=seed)(steps)
