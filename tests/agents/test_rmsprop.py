"""RMSprop compared with torch's; in TensorFlow's form, with Stable-Baselines3's and by hand."""

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


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "weight_decay": 0.1}], ids=["plain", "options"])
def test_matches_torch_to_the_last_bit(options: dict[str, float]) -> None:
    draw = torch.Generator().manual_seed(0)
    ours, theirs = ([torch.nn.Parameter(torch.full((5,), 2.0)) for _ in range(3)] for _ in range(2))
    one, other = (
        kind([{"params": group[:2]}, {"params": group[2:], "lr": 0.3}], lr=0.01, alpha=0.9, eps=1e-3, **options)
        for kind, group in ((RMSprop, ours), (torch.optim.RMSprop, theirs))
    )
    for _ in range(20):
        for p, q in zip(ours[1:], theirs[1:], strict=True):  # the first one is frozen
            p.grad = torch.randn(5, generator=draw)
            q.grad = p.grad.clone()
        one.step()
        other.step()
    assert all(torch.equal(p, q) for p, q in zip(ours, theirs, strict=True))
    assert ours[0].tolist() == [2.0] * 5
    assert ours[0] not in one.state
    states = [(a.state[p], b.state[q]) for p, q in zip(ours[1:], theirs[1:], strict=True) for a, b in ((one, other),)]
    assert all(torch.equal(mine[name], torchs[name]) for mine, torchs in states for name in torchs)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="takes no closure"):
        RMSpropTFLike([{"params": [torch.nn.Parameter(torch.zeros(1))]}]).step(lambda: 0.0)
    with pytest.raises(ConfigError, match="rms_prop_tf_like needs use_rms_prop"):
        A2C("CartPole-v1", use_rms_prop=False, rms_prop_tf_like=True)
