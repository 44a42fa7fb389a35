"""RMSprop compared with torch's; in TensorFlow's form, with Stable-Baselines3's and by hand."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike as Theirs

from agents import A2C
from agents.rmsprop import RMSprop, RMSpropTFLike
from agents.settings.values import ConfigError


def test_first_step_by_hand() -> None:
    p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    p.grad = torch.tensor([0.5, 0.0])
    RMSpropTFLike([{"params": [p]}], lr=0.1, alpha=0.9, eps=0.05).step()
    s = 0.9 * 1 + 0.1 * 0.25
    assert p.tolist() == pytest.approx([1 - 0.1 * 0.5 / (s + 0.05) ** 0.5, 2.0])


def test_matches_sb3() -> None:
    start = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    ours, theirs, frozen = (torch.nn.Parameter(start.clone()) for _ in range(3))
    one = RMSpropTFLike([{"params": [ours, frozen]}], lr=0.01, alpha=0.99, eps=1e-3)
    other = Theirs([theirs], lr=0.01, alpha=0.99, eps=1e-3)
    for i in range(50):
        gradient = torch.randn(7, 5, generator=torch.Generator().manual_seed(i + 1))
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        one.step()
        other.step()
        assert torch.equal(ours, theirs)
    assert torch.equal(frozen, start), "no gradient, no step"
    restored = RMSpropTFLike([{"params": [ours, frozen]}])
    restored.load_state_dict(one.state_dict())
    assert torch.equal(restored.state[ours]["square_avg"], other.state[theirs]["square_avg"])


def both(
    sizes: Sequence[tuple[int, ...]], **options: float
) -> tuple[list[list[torch.nn.Parameter]], list[torch.optim.Optimizer]]:
    """Equal parameters in two groups, the second of one parameter, under our optimizer and torch's."""
    copies = [[torch.nn.Parameter(torch.full(size, 2.0)) for size in sizes] for _ in range(2)]
    kinds = (RMSprop, torch.optim.RMSprop)
    settings: dict[str, Any] = {"lr": 0.01, "alpha": 0.9, "eps": 1e-3, **options}
    groups: list[Any] = [[{"params": own[:-1]}, {"params": own[-1:], "lr": 0.3}] for own in copies]
    return copies, [kind(each, **settings) for kind, each in zip(kinds, groups, strict=True)]


def descend(copies: list[list[torch.nn.Parameter]], optimizers: list[torch.optim.Optimizer], frozen: int) -> None:
    """A step on random gradients; the first parameters, as many as `frozen`, have none."""
    for p, q in list(zip(*copies, strict=True))[frozen:]:
        p.grad = torch.randn_like(p)
        q.grad = p.grad.clone()
    for optimizer in optimizers:
        optimizer.step()


def assert_equal(copies: list[list[torch.nn.Parameter]], optimizers: list[torch.optim.Optimizer]) -> None:
    for p, q in zip(*copies, strict=True):
        assert torch.equal(p, q)
        mine, torchs = (optimizer.state[x] for optimizer, x in zip(optimizers, (p, q), strict=True))
        assert mine.keys() == torchs.keys()
        assert all(torch.equal(mine[name], torchs[name]) for name in torchs)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "weight_decay": 0.1}], ids=["plain", "options"])
@pytest.mark.parametrize("sizes", [[(5,), (63, 5), (7,)], [(400, 300), (3,)]], ids=["small", "large"])
def test_matches_torch_to_the_last_bit(sizes: list[tuple[int, ...]], options: dict[str, float]) -> None:
    torch.manual_seed(0)
    copies, optimizers = both(sizes, **options)
    for _ in range(20):
        descend(copies, optimizers, frozen=1)
    assert [copies[0][0].unique().tolist(), copies[0][0] in optimizers[0].state] == [[2.0], False]
    descend(copies, optimizers, frozen=0)
    assert_equal(copies, optimizers)


def replace_state(optimizer: torch.optim.Optimizer) -> None:
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))


def write_state(optimizer: torch.optim.Optimizer) -> None:
    next(iter(optimizer.state.values()))["square_avg"].fill_(0.5)


def change_group(optimizer: torch.optim.Optimizer) -> None:
    optimizer.param_groups[1] |= {"alpha": 0.5, "eps": 0.1}


def replace_parameters(optimizer: torch.optim.Optimizer) -> None:
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.data = p.data.clone()


@pytest.mark.parametrize("change", [replace_state, write_state, change_group, replace_parameters, copy.deepcopy])
def test_changes_take_effect_as_in_torchs(change: Callable[[torch.optim.Optimizer], object]) -> None:
    torch.manual_seed(0)
    copies, optimizers = both([(5,), (63, 5), (7,)])
    for _ in range(2):
        descend(copies, optimizers, frozen=0)
        descend(copies, optimizers, frozen=0)
        for optimizer in optimizers:
            change(optimizer)
    descend(copies, optimizers, frozen=0)
    assert_equal(copies, optimizers)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="takes no closure"):
        RMSpropTFLike([{"params": [torch.nn.Parameter(torch.zeros(1))]}]).step(lambda: 0.0)
    with pytest.raises(ConfigError, match="rms_prop_tf_like needs use_rms_prop"):
        A2C("CartPole-v1", use_rms_prop=False, rms_prop_tf_like=True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"critic_lr_scale": 1e42}, r"learning rate 7e\+38 overflows"),
        ({"learning_rate": 1e38, "use_rms_prop": False}, r"learning rate 1e\+38 overflows"),
    ],
)
def test_a_rate_at_which_a_step_overflows_is_refused(settings: dict[str, Any], words: str) -> None:
    agent = A2C("CartPole-v1", engine="torch", num_envs=2, **settings)
    before = [p.clone() for p in agent.policy.parameters()]
    with pytest.raises(FloatingPointError, match=words):
        agent.learn(4)
    assert all(map(torch.equal, before, agent.policy.parameters()))
