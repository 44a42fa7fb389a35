"""Compares collection, initialization, sampling and evaluation with SB3's, and judges whether they agree."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from typing import NamedTuple

from agents.settings.a2c import A2CSettings
from envs import Backend
from rl.experiments.lockstep import collection, evaluation, initialization, sampling
from rl.experiments.lockstep.collection import Collected
from rl.experiments.lockstep.combinations import DEFAULT, LIMIT
from rl.experiments.lockstep.initialization import Initialization

STEPS, SEEDS, DRAWS, EPISODES = 10_000, range(1000), 1_000_000, 100
SIGNIFICANCE = 0.01  # over all tests of one component

Rollouts = tuple[str, int | None, Backend]  # environment, time limit if changed, backend
ROLLOUTS: list[Rollouts] = [
    *(("CartPole-v1", limit, backend) for limit in (None, 30) for backend in ("sync", "native")),
    *((env, None, backend) for env in ("Acrobot-v1", "Pendulum-v1") for backend in ("sync", "native")),
    *(("LunarLander-v3", limit, "sync") for limit in (None, 80)),
]

NETWORKS = ("CartPole-v1", "Pendulum-v1")
POLICIES = {"categorical": sampling.CATEGORICAL, "Gaussian": sampling.GAUSSIAN}

Trained = tuple[str, bool]  # environment, whether observations are normalized
TRAINED: dict[Trained, int] = {  # → training steps
    (env, normalized): steps
    for env, steps in (
        ("CartPole-v1", 20_000), ("Acrobot-v1", 200_000), ("Pendulum-v1", 20_000), ("LunarLander-v3", 50_000),
    )
    for normalized in (False, True)
}  # fmt: skip


class Components(NamedTuple):
    collection: Mapping[Rollouts, Collected]
    initialization: Mapping[str, Initialization]
    sampling: Mapping[str, Mapping[str, sampling.Comparison]]  # policy → sampler → result
    evaluation: Mapping[Trained, evaluation.Comparison]

    def agree(self) -> bool:
        return all((*self._collected(), *self._initialized(), *self._sampled(), *self._evaluated()))

    def _collected(self) -> Iterator[bool]:
        return (x <= LIMIT for found in self.collection.values() for x in found.worst)

    def _initialized(self) -> Iterator[bool]:
        layers = [layer for found in self.initialization.values() for layer in found.layers.values()]
        yield passes([p for layer in layers for p in (layer.p_weight, layer.p_fourth)])
        yield max(max(layer.ours, layer.theirs) for layer in layers) <= LIMIT
        for found in self.initialization.values():
            yield max(found.biases, found.log_stds, found.log_probs, found.values) <= LIMIT

    def _sampled(self) -> Iterator[bool]:
        found = [comparison for by_sampler in self.sampling.values() for comparison in by_sampler.values()]
        yield passes([p for comparison in found for p in (comparison.p_others, comparison.p_exact)])

    def _evaluated(self) -> Iterator[bool]:
        yield passes([found.p_stochastic for found in self.evaluation.values()])
        for found in self.evaluation.values():
            yield found.lengths == 0 and found.returns <= LIMIT


def passes(p_values: list[float]) -> bool:
    """Whether no p-value is significant after Bonferroni's correction."""
    return min(p_values) >= SIGNIFICANCE / len(p_values)


def collect(case: Rollouts, steps: int = STEPS) -> Collected:
    env, limit, backend = case
    settings = A2CSettings(
        env, num_envs=4, n_steps=5, learning_rate=DEFAULT, max_episode_steps=limit, backend=backend
    )  # fmt: skip
    return collection.collected(settings, steps)


def initialize(env_id: str) -> Initialization:
    return initialization.initialized(env_id, SEEDS)


def sample(policy: str) -> dict[str, sampling.Comparison]:
    """Sampler → comparison."""
    of = POLICIES[policy]
    theirs = sampling.sb3_actions(of, DRAWS, 0)
    return {name: sampling.compared(of, draw(of, DRAWS, 0), theirs) for name, draw in sampling.SAMPLERS.items()}


def evaluate(case: Trained, episodes: int = EPISODES) -> evaluation.Comparison:
    return evaluation.compared(evaluation.trained(*case, TRAINED[case], DEFAULT), episodes, 0)


def measure(pool: Executor) -> Components:
    """Measures all components; the pool's processes share the work."""
    rollouts, networks = pool.map(collect, ROLLOUTS), pool.map(initialize, NETWORKS)
    samples, evaluations = pool.map(sample, POLICIES), pool.map(evaluate, TRAINED)
    return Components(
        dict(zip(ROLLOUTS, rollouts, strict=True)),
        dict(zip(NETWORKS, networks, strict=True)),
        dict(zip(POLICIES, samples, strict=True)),
        dict(zip(TRAINED, evaluations, strict=True)),
    )
