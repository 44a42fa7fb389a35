"""Numerical building blocks: gradients in closed form, the functions φ and ψ, and accurate pairs of softmaxes."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

Values = Callable[..., Tensor]
Gradients = Callable[..., tuple[Tensor, ...]]
NEAR = 0.125  # |x| up to which φ and ψ are summed as series
_ORDER = 9  # of both series; the remainder is below 4e-14 of the sum


def closed_form(values: Values, gradients: Gradients) -> Callable[..., Tensor]:
    """A differentiable function from its values and its partial derivatives.

    values(*inputs) is computed without autograd. gradients(*inputs, output) returns ∂output/∂input for each input, in
    the input's shape; it consists of differentiable operations, so derivatives of any order exist, forward and reverse.
    Inputs are broadcast beforehand; the output has their leading dimensions and their common dtype.
    """

    class ClosedForm(torch.autograd.Function):
        @staticmethod
        def forward(*inputs: Tensor) -> Tensor:
            return values(*inputs).to(inputs[0].dtype)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            ctx.save_for_backward(*inputs, output)
            ctx.save_for_forward(*inputs, output)

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
            *inputs, _ = ctx.saved_tensors
            partials = zip(gradients(*ctx.saved_tensors), inputs, strict=True)
            return tuple((_unsqueeze_to(grads[0], x) * partial).to(x.dtype) for partial, x in partials)

        @staticmethod
        def jvp(ctx: Any, *tangents: Tensor) -> Tensor:
            *_, output = ctx.saved_tensors
            partials = zip(gradients(*ctx.saved_tensors), tangents, strict=True)
            products = [partial * tangent for partial, tangent in partials if tangent is not None]
            total = torch.stack(products).sum(0)
            return (total.flatten(output.ndim).sum(-1) if total.ndim > output.ndim else total).to(output.dtype)

        @staticmethod
        def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Tensor) -> tuple[Tensor, int]:
            """For torch.func.hessian: a mapped dimension becomes a batch dimension."""
            aligned = (
                x.expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)
                for x, dim in zip(inputs, in_dims, strict=True)
            )
            return differentiable(*aligned), 0

    def differentiable(*inputs: Tensor) -> Tensor:
        if len(inputs) > 1:
            dtype = torch.promote_types(inputs[0].dtype, inputs[1].dtype)
            inputs = tuple(torch.broadcast_tensors(*(x.to(dtype) for x in inputs)))
        if not any(x.requires_grad or _is_dual(x) for x in inputs):
            return values(*inputs).to(inputs[0].dtype)  # saves 20 µs
        output: Tensor = ClosedForm.apply(*inputs)  # type: ignore[no-untyped-call]
        return output

    return differentiable


def _is_dual(x: Tensor) -> bool:
    """Whether x carries a tangent of forward-mode differentiation."""
    return unpack_dual(x).tangent is not None


def _unsqueeze_to(grad: Tensor, x: Tensor) -> Tensor:
    """Appends dimensions of length 1 to grad, until it has as many as x."""
    return grad.reshape(grad.shape + (1,) * (x.ndim - grad.ndim))


def phi_series(x: Tensor) -> Tensor:
    """φ(x) = x²/2 + x³/6 + … for |x| ≤ 1/8. Computed in place, so not for autograd: see `phi`."""
    total = torch.full_like(x, 1 / math.factorial(_ORDER))
    for k in range(_ORDER - 1, 1, -1):
        total.mul_(x).add_(1 / math.factorial(k))
    return total.mul_(x).mul_(x)


def phi_values(x: Tensor) -> Tensor:
    """φ(x) = eˣ − 1 − x ≥ 0 for every x, to a few units in the last place. Not for autograd: see `phi`."""
    return torch.where(x.abs() <= NEAR, phi_series(x), x.expm1().sub_(x.clamp_max(1e3)))  # e^1000 is ∞, less ∞ NaN


phi = closed_form(phi_values, lambda x, _: (x.expm1(),))  # φ for autograd


def psi_values(t: Tensor) -> Tensor:
    """ψ(t) = (1 + t) ln(1 + t) + (1 − t) ln(1 − t) for |t| ≤ 1; 0 ≤ ψ ≤ 2 ln 2. Not for autograd."""
    square = t.square()
    series = torch.zeros_like(t)
    for k in range(_ORDER, 0, -1):
        series.add_(1 / (k * (2 * k - 1))).mul_(square)
    direct = torch.special.xlog1py(1 + t, t) + torch.special.xlog1py(1 - t, -t)
    return torch.where(t.abs() <= NEAR, series, direct)


def softmax_terms(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """max(x), e^{x − max(x)} and the sum of the latter: float64 of shapes [..., 1], [..., A] and [..., 1]."""
    x = logits.to(torch.float64, copy=True)
    peak = x.detach().amax(-1, keepdim=True)
    e = x.sub_(peak).exp_()
    return peak, e, e.sum(-1, keepdim=True)


def difference(a: Tensor, b: Tensor, at_a: Tensor, at_b: Tensor) -> Tensor:
    """(b − at_b) − (a − at_a) in float64, where at_a and at_b are an entry of each row: float64[..., 1].

    Float32 entries are subtracted within their row first: entries of two rows may be apart by far more than float64
    resolves. With float64 entries, where both ways round, the rounding error is added (Knuth 1969).
    """
    if a.dtype != torch.float64:
        return (b - at_b) - (a - at_a)
    (s, rounding), (shift, rounding_of_shift) = _exact_difference(a, b), _exact_difference(at_a, at_b)
    return (s - shift).add_(rounding.sub_(rounding_of_shift).nan_to_num_(0.0, 0.0, 0.0))


def _exact_difference(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """b − a and its rounding error, which is NaN beside an infinite difference."""
    s = b - a
    with torch.no_grad():
        back = s + a
        return s, (b - back).sub_((s - back).add_(a))


def softmax_pair(p_logits: Tensor, q_logits: Tensor, masked: bool) -> tuple[Tensor, Tensor, Tensor]:
    """p, q and r = ln(q/p), float64[..., A] each.

    r is 1e99 where only p is masked, −1e99 where only q is masked, 0 where both are. `masked=False` is faster and
    assumes that no logit is −inf.
    """
    (peak_p, e_p, total_p), (peak_q, e_q, total_q) = softmax_terms(p_logits), softmax_terms(q_logits)
    r = difference(p_logits, q_logits, peak_p, peak_q) - (total_q.log() - total_p.log())
    if masked:
        neither = (p_logits == -math.inf) & (q_logits == -math.inf)
        r = r.masked_fill(neither, 0.0).clamp(-1e99, 1e99)
    return e_p / total_p, e_q / total_q, r


def js_of_pair(p: Tensor, q: Tensor, r: Tensor) -> Tensor:
    """½ Σ m ψ(tanh(r/2)) from probabilities and r = ln(q/p), float64[..., A] each."""
    return ((p + q) * psi_values((r / 2).tanh())).sum(-1).div_(4).clamp_max_(math.log(2))


def log_of_mean_ratio(r: Tensor) -> Tensor:
    """ln(p/m), m = (p + q)/2, from r = ln(q/p): ln 2 − softplus(r), or −log1p(½ (eʳ − 1)) where |r| < 1."""
    near = r.abs() < 1
    close = -(0.5 * r.where(near, 0.0).expm1()).log1p()
    return torch.where(near, close, math.log(2) - torch.logaddexp(r, torch.zeros_like(r)))


def through_softmax(p: Tensor, partial: Tensor) -> Tensor:
    """∂f/∂x = p (∂f/∂p − Σ p ∂f/∂p), from `partial` = ∂f/∂p, taken relative to that of the most likely action."""
    partial = partial - partial.gather(-1, p.argmax(-1, keepdim=True))
    return p * (partial - (p * partial).sum(-1, keepdim=True))
