"""The combinations of settings in which our updates are compared with SB3's, and how."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, product

import torch

from agents import A2C
from agents.sb3 import from_sb3
from agents.sb3.model import Model
from agents.settings.a2c import A2CSettings
from rl.experiments.lockstep.precision import double_precision
from rl.experiments.lockstep.replay import Difference, lockstep

Settings = dict[str, object]
LIMIT = 1e-5
STABLE, DEFAULT = 1e-4, 7e-4  # learning rates; at STABLE, no training here is chaotic

FACTORS: Mapping[str, Sequence[tuple[str, Settings]]] = {
    "environment": [(env, {"env": env}) for env in ("CartPole-v1", "Pendulum-v1", "MountainCarContinuous-v0")],
    "steps": [(str(n), {"n_steps": n}) for n in (1, 5)],
    "λ": [(str(x), {"gae_lambda": x}) for x in (1.0, 0.95)],
    "entropy bonus": [(str(x), {"ent_coef": x}) for x in (0.0, 0.01)],
    "optimizer": [
        ("RMSprop", {}),
        ("RMSpropTFLike", {"rms_prop_tf_like": True}),
        ("Adam", {"use_rms_prop": False}),
    ],
    "advantages": [("as they are", {}), ("normalized", {"normalize_advantage": True})],
    "learning rate": [("constant", {}), ("linear to 0", {"decays": True})],
    "engine": [(engine, {"engine": engine}) for engine in ("torch", "fused")],
}

Combination = tuple[int, ...]  # index of the value of each factor
Compare = Callable[[Combination, float, int], Difference]
Task = tuple[Compare, Combination, float, int]
ALL: list[Combination] = list(product(*(range(len(values)) for values in FACTORS.values())))


def covering(strength: int) -> list[Combination]:
    """Combinations that contain every `strength`-tuple of values of different factors at least once. Greedy."""

    def covered(chosen: Combination) -> set[tuple[tuple[int, int], ...]]:
        return set(combinations(enumerate(chosen), strength))

    left = set[tuple[tuple[int, int], ...]]().union(*map(covered, ALL))
    rows: list[Combination] = []
    while left:
        rows.append(max(ALL, key=lambda chosen: len(covered(chosen) & left)))
        left -= covered(rows[-1])
    return rows


def names(chosen: Combination) -> list[str]:
    return [values[i][0] for values, i in zip(FACTORS.values(), chosen, strict=True)]


def settings_of(chosen: Combination, learning_rate: float) -> A2CSettings:
    merged: Settings = {}
    for values, i in zip(FACTORS.values(), chosen, strict=True):
        merged |= values[i][1]
    rate = f"linear({learning_rate}, 0)" if merged.pop("decays", False) else learning_rate
    return A2CSettings(**({"num_envs": 4, "learning_rate": rate} | merged))  # type: ignore[arg-type]


def in_single(chosen: Combination, learning_rate: float, updates: int) -> Difference:
    """In single precision, with SB3 unchanged."""
    return lockstep(settings_of(chosen, learning_rate), updates).worst


def in_double(chosen: Combination, learning_rate: float, updates: int) -> Difference:
    with double_precision():
        return lockstep(settings_of(chosen, learning_rate), updates).worst


def nudged(chosen: Combination, learning_rate: float, updates: int) -> Difference:
    """In double precision, with one of our weights changed by one rounding error of single precision."""

    def agent_of(model: Model) -> A2C:
        agent = from_sb3(model, engine="torch")
        with torch.no_grad():
            weight = next(agent.value.parameters()).view(-1)
            weight[0] *= 1 + torch.finfo(torch.float32).eps
        return agent

    with double_precision():
        return lockstep(settings_of(chosen, learning_rate), updates, agent_of).worst


def measure(task: Task) -> Difference:
    compare, chosen, learning_rate, updates = task
    return compare(chosen, learning_rate, updates)
