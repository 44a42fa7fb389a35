"""Random streams: each part of a run draws from its own child of the run's seed; the streams are listed here.

A stream's key is the first number of the `spawn_key` of NumPy's SeedSequence. Keys never change: published results
were drawn with them.
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
    "environments": 0,  # training environments, one child each
    "initialization": 1,  # network weights
    "actions": 2,  # sampled in training
    "predictions": 3,  # actions sampled by `predict`
    "evaluation": 4,  # environments and actions of evaluation episodes
    "batches": 5,  # order of recorded transitions
    "discriminator": 6,  # its weights and batches
    "minibatches": 1 << 40,  # order of a rollout's steps
    "evaluation in training": (1 << 40) + 1,  # seed of evaluations between updates
}
_STEPS = 7  # keys from here to 10¹² are the steps of resumed runs

_PEER_OFFSET = 1_000_000  # larger than the seeds of runs, which count from 0


def stream_seeds(seed: int, stream: Stream, count: int) -> list[int]:
    """`count` independent 31-bit seeds; the first k are the same for every count ≥ k."""
    return _children(seed, _KEYS[stream], count)


def stream_generator(seed: int, stream: Stream) -> torch.Generator:
    """A generator seeded with the first of `stream_seeds`."""
    return torch.Generator().manual_seed(stream_seeds(seed, stream, 1)[0])


def resumed_seeds(seed: int, step: int, count: int) -> list[int]:
    """Seeds for the environments of a run that resumes at this step in new episodes; the step is the key.

    They differ from all `stream_seeds`, and from those of a resume at another step.
    """
    return _children(seed, max(step, _STEPS), count)


def replacement_seed(seed: int, k: int) -> int:
    """The seed of the k-th replacement of an environment. seed: that of the replaced environment."""
    return _children(seed, _STEPS + k, 1)[0]


def peer_seed(seed: int, k: int) -> int:
    """The seed of the k-th agent trained beside an agent with this seed: seed + 10⁶·k."""
    return seed + _PEER_OFFSET * k


def _children(seed: int, key: int, count: int) -> list[int]:
    children = np.random.SeedSequence(seed, spawn_key=(key,)).spawn(count)
    return [int(child.generate_state(1)[0] >> 1) for child in children]  # 31 bits, since some simulators take an int32
