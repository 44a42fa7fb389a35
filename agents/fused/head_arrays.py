"""`Head` and `Work`: what the parameters of a policy's distribution mean, and scratch space for them."""

from typing import NamedTuple

import numpy as np
import torch
from gymnasium import spaces

from agents.fused.arrays import Doubles, Floats, Integers, zeros
from agents.networks import heads
from envs.spaces import factors


class Head(NamedTuple):
    """What the parameters of a policy's distribution mean."""

    gaussian: bool
    bits: bool
    size: int  # A, the number of logits, or of the dimensions of a Gaussian
    sizes: Integers  # [K], the numbers of choices of the factors of a discrete action; [0] for a Gaussian
    outputs_std: bool  # ln σ is log_std_init plus an output, within log_std_range; else a parameter
    log_std_init: float
    log_std_range: tuple[float, float]
    bounds: Floats | tuple[()]  # [2, A], low and high of squashed actions: see `agents.fused.squashed`
    limit: float  # the largest number below 1 of torch's default type

    @property
    def noises(self) -> int:
        """The random numbers that an action takes."""
        return self.size if self.gaussian else len(self.sizes)

    @property
    def parameters(self) -> int:
        """The numbers that a rollout stores of a distribution."""
        return self.size * (2 if self.gaussian else 1)


class Work(NamedTuple):
    """Scratch space for the distributions of a rollout."""

    z: Doubles  # [T · N, P]
    before: Doubles  # as z, of the policy that acted
    g: Doubles  # as z, gradients with respect to it
    e: Doubles  # as z, for sums over actions
    order: Integers  # [T · N], 0, 1, …
    u: Floats  # [T · N, A], squashed actions before squashing; [0, 0] if they are not squashed


def head_of(head: heads.Head) -> Head:
    """The same for kernels."""
    actions, number = head.actions, torch.get_default_dtype()
    bounds: Floats | tuple[()] = ()
    if isinstance(actions, spaces.Box) and head.squash_output:
        bounds = torch.from_numpy(np.stack([actions.low.ravel(), actions.high.ravel()])).to(number).numpy()
    return Head(
        gaussian=isinstance(actions, spaces.Box),
        bits=isinstance(actions, spaces.MultiBinary),
        size=head.size,
        sizes=np.array(factors(actions), np.int64),
        outputs_std=head.state_dependent_std and not head.softplus_std,  # the kernels of a stream have softplus
        log_std_init=head.log_std_init,
        log_std_range=heads.LOG_STD_RANGE,
        bounds=bounds,
        limit=1 - torch.finfo(number).eps / 2,
    )


def work_for(head: Head, rows: int) -> Work:
    shape = (rows, head.size if head.sizes.sum() == head.size else 2 * head.size)
    u = zeros(rows, head.size) if len(head.bounds) else zeros(0, 0)
    return Work(np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape), np.arange(rows), u)
