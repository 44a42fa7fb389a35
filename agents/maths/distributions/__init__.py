"""Action distributions: immutable, computed by `agents.maths.information`, sampled from explicit generators.

Parameters are checked once, on construction; `validate=False` skips the check, as training does.
"""

from agents.maths.distributions.base import Distribution
from agents.maths.distributions.discrete import Bernoulli, Categorical, MultiCategorical
from agents.maths.distributions.gaussian import BoundedGaussian, DiagonalGaussian, TanhGaussian

DISCRETE = (Categorical, MultiCategorical, Bernoulli)

__all__ = [
    "DISCRETE",
    "Bernoulli",
    "BoundedGaussian",
    "Categorical",
    "DiagonalGaussian",
    "Distribution",
    "MultiCategorical",
    "TanhGaussian",
]
