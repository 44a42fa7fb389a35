"""Input that Categorical, MultiCategorical and Bernoulli refuse."""

from collections.abc import Callable

import pytest
import torch

from agents.maths.distributions import Bernoulli, Categorical, MultiCategorical
from tests.agents.maths.distributions.test_discrete import INF, NAN, Discrete


@pytest.mark.parametrize("shape", [(), (1,), (2,), (4,), (3, 1), (2, 3), (1, 3, 2)])
def test_actions_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    action = torch.zeros(shape).long()
    for pi in (MultiCategorical(torch.zeros(3, 5), (2, 3)), Bernoulli(torch.zeros(3, 2))):
        with pytest.raises(ValueError, match=r"expects \(3, 2\)"):
            pi.log_prob(action)
    with pytest.raises(ValueError, match=r"expects \(3,\)"):
        Categorical(torch.zeros(3, 2)).log_prob(action)


def test_divergences_refuse_other_shapes() -> None:
    a, b = torch.zeros(3, 2), torch.zeros(3, 4)
    pairs = [(kind(a), kind(b)) for kind in (Categorical, Bernoulli)]
    for pi, other in (*pairs, (MultiCategorical(b, (2, 2)), MultiCategorical(b, (4,)))):
        for divergence in (pi.kl, pi.js):
            with pytest.raises(ValueError, match="differ"):
                divergence(other)


def test_js_with_too_many_joint_outcomes() -> None:
    assert Bernoulli(torch.zeros(16)).js(Bernoulli(torch.ones(16))) > 0
    for pi in (Bernoulli(torch.zeros(17)), MultiCategorical(torch.zeros(513), (257, 256))):
        with pytest.raises(ValueError, match=r"the limit is 65,536: use the KL divergence"):
            pi.js(pi)
        assert pi.kl(pi) == 0


ROWS = torch.zeros(3, 5)
BROKEN = ROWS.index_put((torch.tensor(1), torch.tensor(4)), torch.tensor(NAN))
FORBIDDEN = ROWS.index_fill(0, torch.tensor(2), -INF)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda v: Categorical(BROKEN, v), r"logits\[1\], of shape \(3, 5\), holds NaN or \+inf"),
        (lambda v: Categorical.masked(ROWS, FORBIDDEN == 0, v), r"logits\[2\].*is illegal in every action"),
        (lambda v: MultiCategorical(BROKEN, (2, 3), v), r"logits, factor 1\[1\].*holds NaN"),
        (lambda v: MultiCategorical(FORBIDDEN, (2, 3), v), r"logits, factor 0\[2\].*is illegal in every action"),
        (lambda v: Bernoulli(BROKEN, v), r"logits\[1, 4\], of shape \(3, 5\), is nan"),
    ],
)
def test_invalid_parameters(make: Callable[[bool], Discrete], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(True)
    make(False)


@pytest.mark.parametrize("sizes", [(2, 2), (2, 4), (), (5, 0), (6, -1)])
def test_sizes_that_do_not_fit(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"logits of shape .* must end in Σ sizes"):
        MultiCategorical(ROWS, sizes)
