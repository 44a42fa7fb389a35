"""Policies' action distributions: immutable, thin over `rl.information`, sampled from explicit generators.

A distribution checks its parameters once, when it is made; `validate=False` leaves that out, as the training loop does.
"""

from agents.maths.distributions.base import Distribution
from agents.maths.distributions.discrete import Bernoulli, Categorical, MultiCategorical
from agents.maths.distributions.gaussian import BoundedGaussian, DiagonalGaussian, TanhGaussian

__all__ = [
    "Bernoulli",
    "BoundedGaussian",
    "Categorical",
    "DiagonalGaussian",
    "Distribution",
    "MultiCategorical",
    "TanhGaussian",
]
