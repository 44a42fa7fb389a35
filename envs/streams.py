"""Random streams: each part of a run draws from a child of the run's seed, under a name from one list.

A stream's key is the first number of the `spawn_key` of NumPy's SeedSequence. Keys never change, since results that are
already published were drawn from them.
"""

from typing import Literal

import numpy as np
import torch

Stream = Literal[
    "environments",
    "initialization",
    "actions",
    "predictions",
    "evaluation",
    "batches",
    "discriminator",
    "minibatches",
    "evaluation in training",
]

_KEYS: dict[Stream, int] = {
    "environments": 0,  # of training: one child per environment
    "initialization": 1,  # weights of the networks
    "actions": 2,  # sampled in training
    "predictions": 3,  # actions sampled by `predict`
    "evaluation": 4,  # environments and actions of episodes that nothing is learned from
    "batches": 5,  # order of recorded transitions
    "discriminator": 6,  # its weights and batches
    "minibatches": 1 << 40,  # order of the steps of a rollout
    "evaluation in training": (1 << 40) + 1,  # the seed of evaluations between updates
}
_STEPS = 7  # from here on, keys are the steps of resumed runs, which are below 10¹²

_PEER_OFFSET = 1_000_000  # exceeds the seeds that runs are given, which count from 0


def stream_seeds(seed: int, stream: Stream, count: int) -> list[int]:
    """`count` independent 31-bit seeds; the first k are the same for every count ≥ k."""
    return _children(seed, _KEYS[stream], count)


def stream_generator(seed: int, stream: Stream) -> torch.Generator:
    """A generator seeded with the first of `stream_seeds`."""
    return torch.Generator().manual_seed(stream_seeds(seed, stream, 1)[0])


def resumed_seeds(seed: int, step: int, count: int) -> list[int]:
    """Seeds of the environments of a run that resumes at this step in new episodes: the key is the step.

    They differ from `stream_seeds` of every stream, and from those of a resume at another step.
    """
    return _children(seed, max(step, _STEPS), count)


def replacement_seed(seed: int, k: int) -> int:
    """The seed of the k-th environment that replaces another. seed: of the environment that is replaced."""
    return _children(seed, _STEPS + k, 1)[0]


def peer_seed(seed: int, k: int) -> int:
    """The seed of the k-th agent that learns beside an agent of this seed: seed + 10⁶·k."""
    return seed + _PEER_OFFSET * k


def _children(seed: int, key: int, count: int) -> list[int]:
    children = np.random.SeedSequence(seed, spawn_key=(key,)).spawn(count)
    return [int(child.generate_state(1)[0] >> 1) for child in children]  # 31 bits: some simulators take an int32
