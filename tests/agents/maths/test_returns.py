"""TD errors, advantages and explained variance on hand-worked numbers and against a plain loop."""

import math

import pytest
import torch
from torch import Tensor

from agents.maths.returns import explained_variance, gae, standardized, td_error

GAMMA = 0.9


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).unsqueeze(1)


@pytest.fixture
def rollout() -> dict[str, Tensor]:
    """T = 12, N = 3; v_next is the next row's v, except where an episode ended."""
    generator = torch.Generator().manual_seed(0)
    v, reward, final = torch.randn(3, 12, 3, generator=generator, dtype=torch.float64)
    terminated = torch.rand(12, 3, generator=generator) < 0.2
    truncated = (torch.rand(12, 3, generator=generator) < 0.2) & ~terminated
    ended = terminated | truncated
    assert terminated[:-1].any()
    assert truncated[:-1].any()
    v_next = torch.where(ended, final, torch.cat([v[1:], final[-1:]]))
    discount = GAMMA * (1.0 - terminated.double())
    return {"v": v, "reward": reward, "discount": discount, "v_next": v_next, "ended": ended}


def delta_of(rollout: dict[str, Tensor]) -> Tensor:
    return td_error(rollout["v"], rollout["reward"], rollout["discount"], rollout["v_next"])


def test_td_error_by_hand() -> None:
    v, reward = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, -1.0]])
    discount, v_next = torch.tensor([[0.5, 0.0]]), torch.tensor([[4.0, 100.0]])
    assert td_error(v, reward, discount, v_next).tolist() == [[2.0, -3.0]]


def test_td_error_differentiates_v_only() -> None:
    v, v_next = torch.ones(2, 3, requires_grad=True), torch.ones(2, 3, requires_grad=True)
    td_error(v, torch.zeros(2, 3), torch.ones(2, 3), v_next).sum().backward()
    assert v.grad is not None
    assert (v.grad == -1).all()
    assert v_next.grad is None


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        ([False, False, False], [3.0, 4.0, 4.0]),
        ([False, True, False], [2.0, 2.0, 4.0]),
        ([True, False, False], [1.0, 4.0, 4.0]),
        ([False, False, True], [3.0, 4.0, 4.0]),
    ],
)
def test_gae_by_hand(ended: list[bool], expected: list[float]) -> None:
    advantage = gae(column(1.0, 2.0, 4.0), torch.tensor(ended).unsqueeze(1), 0.5)
    assert advantage.tolist() == column(*expected).tolist()


def test_gae_with_lambda_0_is_the_td_error(rollout: dict[str, Tensor]) -> None:
    delta = delta_of(rollout)
    assert torch.equal(gae(delta, rollout["ended"], 0.0), delta)
    assert torch.equal(gae(delta[:1], rollout["ended"][:1], GAMMA), delta[:1])


def test_gae_with_lambda_1_is_the_n_step_advantage(rollout: dict[str, Tensor]) -> None:
    n_step, following = torch.zeros_like(rollout["v"]), rollout["v_next"][-1]
    for t in range(11, -1, -1):
        following = torch.where(rollout["ended"][t], rollout["v_next"][t], following)
        following = n_step[t] = rollout["reward"][t] + rollout["discount"][t] * following
    torch.testing.assert_close(gae(delta_of(rollout), rollout["ended"], GAMMA), n_step - rollout["v"])


@pytest.mark.parametrize("decay", [0.0, 0.855, 0.9])
def test_end_cuts_the_trace_but_not_the_bootstrap(decay: float) -> None:
    v, reward, v_next = column(0.0, 0.0, 0.0), column(1.0, 1.0, 50.0), column(0.0, 10.0, 0.0)
    truncated = torch.tensor([[False], [True], [False]])
    delta = td_error(v, reward, torch.full_like(v, GAMMA), v_next)
    assert gae(delta, truncated, decay).squeeze(1).tolist() == pytest.approx([1 + decay * 10, 10, 50])


@pytest.mark.parametrize(
    ("v", "target", "expected"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], 1.0),
        ([9.0, 10.0, 11.0], [1.0, 2.0, 3.0], 1.0),
        ([5.0, 5.0, 5.0], [1.0, 2.0, 3.0], 0.0),
        ([3.0, 2.0, 1.0], [1.0, 2.0, 3.0], -3.0),
        ([1.0, 1.0, 3.0, 3.0], [0.0, 2.0, 2.0, 4.0], 0.5),
        ([1.0, 2.0, 3.0], [0.1, 0.1, 0.1], math.nan),
        ([1.0], [2.0], math.nan),
    ],
)
def test_explained_variance(v: list[float], target: list[float], expected: float) -> None:
    got = explained_variance(torch.tensor(v).unsqueeze(1), torch.tensor(target).unsqueeze(1))
    assert got.shape == ()
    assert got.item() == pytest.approx(expected, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("shape", [(4, 3, 1), (4,), (3, 4), (4, 1), ()])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    good, bad = torch.zeros(4, 3), torch.zeros(shape)
    for i in range(4):
        with pytest.raises(ValueError, match=r"\[T, N\]"):
            td_error(*(bad if i == j else good for j in range(4)))
    for call in (
        lambda: gae(good, bad.bool(), 0.9),
        lambda: gae(bad, good.bool(), 0.9),
        lambda: explained_variance(good, bad),
    ):
        with pytest.raises(ValueError, match=r"\[T, N\]"):
            call()


def test_three_dimensions_are_refused_even_when_equal() -> None:
    x = torch.zeros(4, 3, 1)
    with pytest.raises(ValueError, match=r"\[T, N\]"):
        td_error(x, x, x, x)
    with pytest.raises(ValueError, match=r"\[T, N\]"):
        gae(x, x.bool(), 0.9)


def test_a_single_element_is_not_standardized() -> None:
    """It has no standard deviation; Stable-Baselines3's PPO leaves it as it is, too."""
    torch.testing.assert_close(standardized(torch.tensor([[1.0, 3.0]])), torch.tensor([[-1.0, 1.0]]) / 2**0.5)
    assert standardized(torch.tensor([[-2.0]])).tolist() == [[-2.0]]
