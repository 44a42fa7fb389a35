"""Steps per second of rejax's PPO with one epoch and one minibatch, which is close to A2C, on CartPole-v1.

Run by an interpreter that has rejax (it needs gymnax < 1): `pip install rejax 'gymnax<1' jax`. Excludes compilation.
"""

import json
import sys
import time

import jax
from rejax import PPO


def rates(envs: int, steps: int, seeds: int, repeats: int) -> list[float]:
    total = envs * steps * max(1, 2_000_000 // (envs * steps * seeds))
    algo = PPO.create(
        env="CartPole-v1", num_envs=envs, num_steps=steps, num_epochs=1, num_minibatches=1, total_timesteps=total,
        eval_freq=total, skip_initial_evaluation=True, learning_rate=7e-4,
        agent_kwargs={"hidden_layer_sizes": (64, 64), "activation": "tanh"},
    )  # fmt: skip
    train = jax.jit(jax.vmap(lambda key: algo.train(key)[0]))
    keys = jax.random.split(jax.random.PRNGKey(0), seeds)
    jax.block_until_ready(train(keys))
    each = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(train(keys))
        each.append(seeds * total / (time.perf_counter() - start))
    return each


if __name__ == "__main__":
    count = int(sys.argv[1])
    shapes = {"8 × 1": (8, 1, 1), "8 × 5": (8, 5, 1), "64 × 5": (64, 5, 1), "16 seeds of 8 × 5": (8, 5, 16)}
    print(json.dumps({name: rates(*shape, count) for name, shape in shapes.items()}))
