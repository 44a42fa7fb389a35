"""The cases of `python -m rl.information`: 50-digit references, and the answers of this package, torch and SciPy."""

import math
from collections.abc import Callable
from typing import NamedTuple

import mpmath as mp
import numpy as np
import torch
from scipy import special, stats
from scipy.spatial.distance import jensenshannon
from torch import Tensor, distributions
from torch.nn import functional

from agents.maths import information

INF = math.inf


class Case(NamedTuple):
    """One question and its answers; None if a library has no such function."""

    question: str
    truth: float
    ours: float
    torch: float | None  # in the input's type
    torch64: float | None  # input cast to float64
    scipy: float | None  # float64


def cases() -> list[Case]:
    """Every case, in the order of the table."""
    with mp.workdps(50):
        return [*_kl_cases(), *_masked_cases(), *_two_distributions(), *_one_distribution()]


def shares_of_failures() -> list[Case]:
    """For 10⁵ random pairs of neighbors: the number of negative and of NaN answers."""
    generator = torch.Generator().manual_seed(0)
    a = 2 * torch.randn(100_000, 4, generator=generator)
    b = a + 1e-4 * torch.randn(100_000, 4, generator=generator)
    p, q = a.double().softmax(-1), b.double().softmax(-1)
    near = (p + 1e-9 * torch.randn(p.shape, generator=generator)).clamp_min(0)
    near = near / near.sum(-1, keepdim=True)
    with torch.no_grad(), np.errstate(invalid="ignore"):
        scipy_js = torch.from_numpy(jensenshannon(p.numpy(), near.numpy(), axis=-1))
        torch_kl, torch_kl64 = _torch_kl(a, b), _torch_kl(a.double(), b.double())
        scipy_kl = torch.from_numpy(special.rel_entr(p.numpy(), q.numpy()).sum(-1))
    return [
        Case(
            "share of negative answers, KL near 1e-9, float32", 0.0, _share(information.kl_from_logits(a, b) < 0),
            _share(torch_kl < 0), _share(torch_kl64 < 0), _share(scipy_kl < 0),
        ),
        Case(
            "share of NaN answers, JS near 1e-18, float64", 0.0, _share(information.js(p, near).isnan()), None, None,
            _share(scipy_js.isnan()),
        ),
    ]  # fmt: skip


def _share(hits: Tensor) -> float:
    return float(hits.float().mean())


def _kl_cases() -> list[Case]:
    base = [0.5, -1.25, 0.75, 2.0]
    pairs = (
        ("KL, logits apart by 1e-3", base, [0.501, -1.2505, 0.75025, 1.999]),
        ("KL, logits apart by 1e-5", base, [0.50001, -1.250005, 0.7500025, 1.99999]),
        ("KL, the same beside an offset of 8", base, [8.50001, 6.749995, 8.7500025, 9.99999]),
        ("KL, a logit gap of 104", [0.0, 0.0], [0.0, -104.0]),
        ("KL, a logit gap of 1e4", [0.0, 0.0], [0.0, -1e4]),
        ("KL, an underflowed action comes back", [0.0, -200.0], [0.0, -1.0]),
    )
    found = []
    for question, a, b in pairs:
        p, q = torch.tensor(a), torch.tensor(b)
        probabilities = (special.softmax(x.double().numpy()) for x in (p, q))
        found.append(
            Case(
                f"{question}, float32", float(_exact_kl(_softmax(p), _softmax(q))),
                float(information.kl_from_logits(p, q)), *_both(_torch_kl, p, q), float(stats.entropy(*probabilities)),
            )
        )  # fmt: skip
    p = torch.tensor(base, dtype=torch.float64)
    q = p + torch.tensor([1e-9, -5e-10, 2.5e-10, -1e-9], dtype=torch.float64)
    theirs64 = float(_torch_kl(p, q))
    found.append(
        Case(
            "KL, logits apart by 1e-9, float64", float(_exact_kl(_softmax(p), _softmax(q))),
            float(information.kl_from_logits(p, q)), theirs64, theirs64,
            float(stats.entropy(*(special.softmax(x.numpy()) for x in (p, q)))),
        )
    )  # fmt: skip
    x, y = torch.tensor([0.0]), torch.tensor([20.0])
    truth = _exact_kl(_softmax(torch.tensor([0.0, 0.0])), _softmax(torch.tensor([0.0, 20.0])))
    theirs = _both(_torch_bernoulli_kl, x, y)
    ours = float(information.bernoulli_kl_from_logits(x, y))
    return [*found, Case("KL, Bernoulli logits 0 ‖ 20, float32", float(truth), ours, *theirs, None)]


def _masked_cases() -> list[Case]:
    """Derivatives where an action is illegal in both distributions."""
    a, b = torch.tensor([0.0, 1.0, -INF]), torch.tensor([1.0, 0.0, -INF])
    ours = _gradient(lambda x: information.kl_from_logits(x, b), a)
    theirs = _both(lambda z: _gradient(lambda x: _torch_kl(x, b.to(x)), z)[2], a)
    target = torch.tensor([0.5, 0.5, 0.0])
    ours_loss = _gradient(lambda x: information.cross_entropy_loss(x, target), b)
    their_loss = _both(lambda z: functional.cross_entropy(z, target.to(z)), b)
    their_slope = _both(lambda z: _gradient(lambda x: functional.cross_entropy(x, target.to(x)), z)[2], b)
    return [
        Case("∂KL(p‖q)/∂logit of p, of a masked action", 0.0, float(ours[2]), *theirs, None),
        Case(
            "cross-entropy, target 0 on a masked action", float(-mp.log(_softmax(b)[0] * _softmax(b)[1]) / 2),
            float(information.cross_entropy_loss(b, target)), *their_loss, None,
        ),
        Case("∂ of that loss/∂logit of the masked action", 0.0, float(ours_loss[2]), *their_slope, None),
    ]  # fmt: skip


def _two_distributions() -> list[Case]:
    p, q = torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64), torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64)
    q = q + torch.tensor([1e-9, 1e-9, -2e-9], dtype=torch.float64)
    x, y = ([mp.mpf(v) for v in z.tolist()] for z in (p, q))
    m = [(s + t) / 2 for s, t in zip(x, y, strict=True)]
    truth_kl = mp.fsum(t - s + s * mp.log(s / t) for s, t in zip(x, y, strict=True))
    truth_js = (_exact_kl(x, m) + _exact_kl(y, m)) / 2
    normal = [torch.tensor([v]) for v in (1.0, math.log(1e-23), 1.0, 0.0)]
    theirs = _both(_torch_normal_kl, *normal)
    torch_kl = float(distributions.kl_divergence(distributions.Categorical(p), distributions.Categorical(q)))
    ratio = 2 * mp.mpf(float(normal[1]))
    with np.errstate(invalid="ignore"):
        scipy_js = float(jensenshannon(p.numpy(), q.numpy())) ** 2
    return [
        Case(
            "KL, probabilities apart by 1e-9, float64", float(truth_kl), float(information.kl(p, q)),
            torch_kl, torch_kl, float(special.rel_entr(p.numpy(), q.numpy()).sum()),
        ),
        Case(
            "JS, probabilities apart by 1e-9, float64", float(truth_js), float(information.js(p, q)), None, None,
            scipy_js,
        ),
        Case(
            "KL, N(1, (1e-23)²) ‖ N(1, 1), float32", float((mp.exp(ratio) - 1 - ratio) / 2),
            float(information.gaussian_kl(*normal)), *theirs, None,
        ),
    ]  # fmt: skip


def _one_distribution() -> list[Case]:
    found = []
    for gap in (20.0, 60.0):
        x = torch.tensor([0.0, -gap])
        p = _softmax(x)
        entropy = -mp.fsum(v * mp.log(v) for v in p)
        bit = torch.tensor([-gap])
        logits = x.double().numpy()
        found += [
            Case(
                f"entropy, logits 0 and −{gap:g}, float32", float(entropy), float(information.entropy_from_logits(x)),
                *_both(lambda z: distributions.Categorical(logits=z).entropy(), x),
                float(stats.entropy(special.softmax(logits))),
            ),
            Case(
                f"entropy, Bernoulli logit −{gap:g}, float32", float(entropy),
                float(information.bernoulli_entropy_from_logits(bit)),
                *_both(lambda z: distributions.Bernoulli(logits=z).entropy(), bit), None,
            ),
            Case(
                f"ln p of the likely action, logits 0 and −{gap:g}, float32", float(mp.log(p[0])),
                float(information.log_softmax(x)[0]), *_both(lambda z: functional.log_softmax(z, -1)[0], x),
                float(special.log_softmax(logits)[0]),
            ),
        ]  # fmt: skip
    return found


def _torch_kl(a: Tensor, b: Tensor) -> Tensor:
    kl: Tensor = distributions.kl_divergence(
        distributions.Categorical(logits=a, validate_args=False),  # otherwise −inf is rejected
        distributions.Categorical(logits=b, validate_args=False),
    )
    return kl


def _torch_bernoulli_kl(a: Tensor, b: Tensor) -> Tensor:
    kl: Tensor = distributions.kl_divergence(distributions.Bernoulli(logits=a), distributions.Bernoulli(logits=b))
    return kl


def _torch_normal_kl(mean_p: Tensor, log_std_p: Tensor, mean_q: Tensor, log_std_q: Tensor) -> Tensor:
    p, q = distributions.Normal(mean_p, log_std_p.exp()), distributions.Normal(mean_q, log_std_q.exp())
    kl: Tensor = distributions.kl_divergence(p, q)
    return kl


def _both(answer: Callable[..., Tensor], *x: Tensor) -> tuple[float, float]:
    """The answer in the input's type, and in float64."""
    return float(answer(*x)), float(answer(*(z.double() for z in x)))


def _softmax(logits: Tensor) -> list[mp.mpf]:
    weights = [mp.exp(mp.mpf(x)) for x in logits.tolist()]
    return [weight / mp.fsum(weights) for weight in weights]


def _exact_kl(p: list[mp.mpf], q: list[mp.mpf]) -> mp.mpf:
    return mp.fsum(x * mp.log(x / y) for x, y in zip(p, q, strict=True) if x > 0)


def _gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(function(leaf), leaf)[0]
