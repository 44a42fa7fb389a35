"""Distributions over discrete actions: `Categorical`, `MultiCategorical`, `Bernoulli`."""

import math
from dataclasses import InitVar, dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Generator, Tensor, nn

from agents.maths import information
from agents.maths.distributions.base import check_shape
from agents.maths.information.bernoulli import two_actions
from agents.maths.information.categorical import entropy_from_log_probabilities
from agents.maths.information.checks import check_broadcast, check_logits, check_numbers, check_vectors
from agents.maths.information.logits import log_probabilities
from agents.maths.information.products import split


@dataclass(frozen=True, eq=False)
class Categorical:
    """p_i = e^{logit_i} / Σ e^{logit_j} over A actions. logits: float[..., A]; an action with −inf is illegal.

    Raises ValueError on NaN, +inf, and a row with every action illegal.

    >>> pi = Categorical(torch.zeros(2))
    >>> pi.entropy(), pi.kl(Categorical(torch.tensor([0.0, -torch.inf])))  # ln 2; the other forbids an action
    (tensor(0.6931), tensor(inf))
    """

    logits: Tensor
    validate: InitVar[bool] = True

    def __post_init__(self, validate: bool) -> None:
        if validate:
            check_logits("logits", self.logits)

    @classmethod
    def masked(cls, logits: Tensor, legal: Tensor, validate: bool = True) -> Self:
        """Illegal actions get probability 0 and gradient 0. legal: bool[..., A], which broadcasts."""
        if validate and legal.dtype != torch.bool:
            raise ValueError(f"legal must hold truth values, got {legal.dtype}")
        if validate:
            check_broadcast(1, logits=logits, legal=legal)
        return cls(logits.masked_fill(~legal, -math.inf), validate)

    @property
    def raw(self) -> Tensor:
        return self.logits

    @cached_property
    def log_p(self) -> Tensor:
        """Normalized log-probabilities, float[..., A]."""
        return log_probabilities(self.logits)

    def relative_score(self, action: Tensor) -> Tensor:
        """‖∇_z ln p(a)‖² / E_b ‖∇_z ln p(b)‖² = [(1 − p_a)² + Σ_{j ≠ a} p_j²] / Σ p_j (1 − p_j), z the logits.

        float[...]; 0 if an action is certain. It vanishes as p_a approaches 1, where ln p(a) cannot increase further.
        """
        own, mean = self._squared_scores(action)
        return torch.where(mean > 0, own / mean, 0.0)

    def _squared_scores(self, action: Tensor) -> tuple[Tensor, Tensor]:
        """‖∇_z ln p(a)‖² and its mean over actions. action: int64[...]."""
        p, others = self.log_p.exp(), -self.log_p.expm1()
        squares = torch.where(nn.functional.one_hot(action, p.shape[-1]).bool(), others, p).square()
        return squares.sum(-1), (p * others).sum(-1)

    def sample(self, generator: Generator) -> Tensor:
        """By inverse CDF, one uniform number per action. Returns int64[...]; never an illegal action."""
        cdf = self.logits.softmax(-1).cumsum(-1)
        u = torch.rand(cdf.shape[:-1], generator=generator, device=cdf.device, dtype=cdf.dtype)
        return (cdf <= u.unsqueeze(-1) * cdf[..., -1:]).sum(-1)

    def mode(self) -> Tensor:
        return self.logits.argmax(-1)

    def log_prob(self, action: Tensor) -> Tensor:
        """ln p(a). action: int64[...]. Raises ValueError if its shape is not the batch shape."""
        check_shape(action, self.logits.shape[:-1])
        return self.log_p.gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def entropy(self) -> Tensor:
        return entropy_from_log_probabilities(self.log_p)

    def kl(self, other: Self) -> Tensor:
        """KL(self‖other), float[...]. Raises ValueError if the numbers of actions differ."""
        check_broadcast(1, logits=self.logits, other_logits=other.logits)
        return information.kl_from_logits(self.logits, other.logits, validate=False)

    def js(self, other: Self) -> Tensor:
        """JS(self, other), float[...]. Raises as `kl`."""
        check_broadcast(1, logits=self.logits, other_logits=other.logits)
        return information.js_from_logits(self.logits, other.logits, validate=False)


@dataclass(frozen=True, eq=False)
class MultiCategorical:
    """Independent categoricals: p(a) = ∏_k p_k(a_k). logits: float[..., Σ sizes], concatenated over the factors.

    Raises ValueError unless the sizes fit, and as `Categorical` for each factor.
    """

    logits: Tensor
    sizes: tuple[int, ...]
    validate: InitVar[bool] = True

    def __post_init__(self, validate: bool) -> None:
        split("logits", self.logits, self.sizes, validate)

    @property
    def raw(self) -> Tensor:
        return self.logits

    @cached_property
    def factors(self) -> tuple[Categorical, ...]:
        return tuple(Categorical(x, validate=False) for x in split("logits", self.logits, self.sizes, validate=False))

    def relative_score(self, action: Tensor) -> Tensor:
        """Like `Categorical.relative_score`, over the logits of all factors. action: int64[..., K]."""
        scores = [factor._squared_scores(a) for factor, a in zip(self.factors, action.unbind(-1), strict=True)]
        own, mean = (torch.stack(each).sum(0) for each in zip(*scores, strict=True))
        return torch.where(mean > 0, own / mean, 0.0)

    def sample(self, generator: Generator) -> Tensor:
        """int64[..., K], one action per factor."""
        return torch.stack([factor.sample(generator) for factor in self.factors], -1)

    def mode(self) -> Tensor:
        return torch.stack([factor.mode() for factor in self.factors], -1)

    def log_prob(self, action: Tensor) -> Tensor:
        """Σ_k ln p_k(a_k). action: int64[..., K]. Raises ValueError on another shape."""
        check_shape(action, torch.Size((*self.logits.shape[:-1], len(self.sizes))))
        pairs = zip(self.factors, action.unbind(-1), strict=True)
        return torch.stack([factor.log_prob(a) for factor, a in pairs]).sum(0)

    def entropy(self) -> Tensor:
        """The sum of the factors' entropies."""
        return torch.stack([factor.entropy() for factor in self.factors]).sum(0)

    def kl(self, other: Self) -> Tensor:
        self._check_sizes(other)
        return information.product_kl_from_logits(self.logits, other.logits, self.sizes, validate=False)

    def js(self, other: Self) -> Tensor:
        """JS over all joint outcomes. Raises ValueError if there are more than 65,536."""
        self._check_sizes(other)
        return information.product_js_from_logits(self.logits, other.logits, self.sizes, validate=False)

    def _check_sizes(self, other: Self) -> None:
        if tuple(self.sizes) != tuple(other.sizes):
            raise ValueError(f"sizes {self.sizes} and {other.sizes} differ")


@dataclass(frozen=True, eq=False)
class Bernoulli:
    """D independent bits, P(bit = 1) = σ(logit). logits: float[..., D]; ±inf makes a bit certain.

    Raises ValueError on NaN.
    """

    logits: Tensor
    validate: InitVar[bool] = True

    def __post_init__(self, validate: bool) -> None:
        if validate:
            check_vectors("logits", self.logits)
            check_numbers("logits", self.logits, infinite=True)

    @property
    def raw(self) -> Tensor:
        return self.logits

    @cached_property
    def bits(self) -> MultiCategorical:
        """The same distribution, as D factors of two actions."""
        return MultiCategorical(two_actions(self.logits).flatten(-2), (2,) * self.logits.shape[-1], validate=False)

    def relative_score(self, action: Tensor) -> Tensor:
        """Like `Categorical.relative_score`: Σ (a − p)² / Σ p (1 − p) over the bits. action: int64[..., D]."""
        return self.bits.relative_score(action)

    def sample(self, generator: Generator) -> Tensor:
        """int64[..., D] of zeros and ones."""
        p = self.logits.sigmoid()
        return (torch.rand(p.shape, generator=generator, device=p.device, dtype=p.dtype) < p).long()

    def mode(self) -> Tensor:
        return (self.logits > 0).long()

    def log_prob(self, action: Tensor) -> Tensor:
        """Σ [a ln σ(x) + (1 − a) ln σ(−x)]. action: [..., D]. Raises ValueError on another shape or other values."""
        check_shape(action, self.logits.shape)
        if not bool(((action == 0) | (action == 1)).all()):
            raise ValueError("action holds values other than 0 and 1")
        return information.log_sigmoid(torch.where(action > 0, self.logits, -self.logits), validate=False).sum(-1)

    def entropy(self) -> Tensor:
        return information.bernoulli_entropy_from_logits(self.logits, validate=False)

    def kl(self, other: Self) -> Tensor:
        check_broadcast(1, logits=self.logits, other_logits=other.logits)
        return information.bernoulli_kl_from_logits(self.logits, other.logits, validate=False)

    def js(self, other: Self) -> Tensor:
        """JS over the 2^D joint outcomes. Raises ValueError if D > 16."""
        return self.bits.js(other.bits)
