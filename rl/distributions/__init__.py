"""Policies' action distributions: immutable, thin over `rl.information`, sampled from explicit generators.

A distribution checks its parameters once, when it is made; `validate=False` leaves that out, as the training loop does.
"""

from rl.distributions.bounded import BoundedGaussian
from rl.distributions.continuous import DiagonalGaussian, TanhGaussian
from rl.distributions.discrete import Bernoulli, Categorical, MultiCategorical
from rl.distributions.protocol import Distribution

__all__ = [
    "Bernoulli",
    "BoundedGaussian",
    "Categorical",
    "DiagonalGaussian",
    "Distribution",
    "MultiCategorical",
    "TanhGaussian",
]
