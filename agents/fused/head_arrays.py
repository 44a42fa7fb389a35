"""`Head` and `Work`: the meaning of a policy's distribution parameters, and scratch space for them."""

from typing import NamedTuple

import numpy as np
import torch
from gymnasium import spaces

from agents.fused.arrays import Doubles, Floats, Integers, zeros
from agents.networks import heads
from envs.spaces import factors


class Head(NamedTuple):
    """The meaning of a policy's distribution parameters."""

    gaussian: bool
    bits: bool
    size: int  # A, the number of logits or of Gaussian dimensions
    sizes: Integers  # [K], number of choices of each factor of a discrete action; [0] for a Gaussian
    outputs_std: bool  # ln σ is log_std_init plus a network output, within log_std_range; otherwise a parameter
    log_std_init: float
    log_std_range: tuple[float, float]
    bounds: Floats | tuple[()]  # [2, A], low and high of squashed actions, see `agents.fused.squashed`
    limit: float  # largest number below 1 in torch's default dtype

    @property
    def noises(self) -> int:
        """Random numbers per action."""
        return self.size if self.gaussian else len(self.sizes)

    @property
    def parameters(self) -> int:
        """Numbers that a rollout stores per distribution."""
        return self.size * (2 if self.gaussian else 1)


class Work(NamedTuple):
    """Scratch space for the distributions of a rollout."""

    z: Doubles  # [T · N, P]
    before: Doubles  # like z, for the policy that acted
    g: Doubles  # like z, gradients with respect to z
    e: Doubles  # like z, for sums over actions
    order: Integers  # [T · N], 0, 1, …
    u: Floats  # [T · N, A], actions before squashing; [0, 0] without squashing


def head_of(head: heads.Head) -> Head:
    """The head in the kernels' form."""
    actions, number = head.actions, torch.get_default_dtype()
    bounds: Floats | tuple[()] = ()
    if isinstance(actions, spaces.Box) and head.squash_output:
        bounds = torch.from_numpy(np.stack([actions.low.ravel(), actions.high.ravel()])).to(number).numpy()
    return Head(
        gaussian=isinstance(actions, spaces.Box),
        bits=isinstance(actions, spaces.MultiBinary),
        size=head.size,
        sizes=np.array(factors(actions), np.int64),
        outputs_std=head.state_dependent_std and not head.softplus_std,  # the kernels of a stream use softplus
        log_std_init=head.log_std_init,
        log_std_range=heads.LOG_STD_RANGE,
        bounds=bounds,
        limit=1 - torch.finfo(number).eps / 2,
    )


def work_for(head: Head, rows: int) -> Work:
    shape = (rows, head.size if head.sizes.sum() == head.size else 2 * head.size)
    u = zeros(rows, head.size) if len(head.bounds) else zeros(0, 0)
    return Work(np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape), np.arange(rows), u)
