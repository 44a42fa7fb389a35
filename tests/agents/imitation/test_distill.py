"""Distillation: divergences, temperature and gradients against oracles in double precision; teachers do not change."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import log_softmax

import envs.probes  # noqa: F401 - registers them
from agents import A2C
from agents.imitation.distill import Distill
from agents.maths.distributions import Categorical, DiagonalGaussian, Distribution, MultiCategorical
from agents.networks.forward import Objective
from agents.ppo import PPO
from agents.rollout import Rollout, collect
from agents.settings.values import ConfigError
from tests.agents.recorded import made

FEW = {"net_arch": (8,), "num_envs": 4, "n_steps": 2}


@pytest.fixture
def teacher(tmp_path: Path) -> str:
    agent = A2C("CartPole-v1", seed=5, **FEW)
    with torch.no_grad():  # untrained, it is nearly uniform
        agent.policy.net[-1].weight.mul_(300)
    return str(agent.save(tmp_path / "teacher"))


def student(teacher: str, **own: object) -> Distill:
    return Distill(A2C("CartPole-v1", **FEW), **{"teachers": (teacher,), **own})


def logits(seed: int, size: int = 5) -> torch.Tensor:
    return 2 * torch.randn(7, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_hand(t: torch.Tensor, s: torch.Tensor, direction: str, temperature: float) -> torch.Tensor:
    """τ² · mean D at temperature τ, from its definition."""
    p, q = (log_softmax(x / temperature, -1) for x in (t, s))
    m = torch.logaddexp(p, q) - math.log(2)
    forward, reverse = (p.exp() * (p - q)).sum(-1), (q.exp() * (q - p)).sum(-1)
    js = 0.5 * ((p.exp() * (p - m)).sum(-1) + (q.exp() * (q - m)).sum(-1))
    return temperature**2 * {"forward": forward, "reverse": reverse, "js": js}[direction].mean()


def loss_of(distill: Distill, taught: list[Distribution], pi: Distribution) -> torch.Tensor:
    return distill.ensemble.loss(taught, pi)


@pytest.mark.parametrize("direction", ["forward", "reverse", "js"])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_loss_and_gradient(direction: str, temperature: float, teacher: str) -> None:
    one = student(teacher, direction=direction, temperature=temperature)
    t, s = logits(0), logits(1).requires_grad_()
    found, expected = loss_of(one, [Categorical(t)], Categorical(s)), by_hand(t, s, direction, temperature)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, s), torch.autograd.grad(expected, s))


def test_temperature_keeps_the_size_of_the_gradient(teacher: str) -> None:
    """τ → ∞: τ² KL → ½ Var of the logits' difference over actions (Hinton et al. 2015); without τ² it would vanish."""
    t, s = logits(0), logits(1).requires_grad_()
    gradients = []
    for temperature in (1e2, 1e4):
        one = student(teacher, temperature=temperature)
        loss = loss_of(one, [Categorical(t)], Categorical(s))
        assert float(loss.detach()) == pytest.approx(float((t - s).detach().var(-1, correction=0).mean() / 2), rel=0.02)
        gradients.append(torch.autograd.grad(loss, s)[0])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0.05, atol=1e-3)


def test_several_teachers_count_equally(teacher: str) -> None:
    one = student(teacher)
    s, first, second = (Categorical(logits(seed)) for seed in range(3))
    both = loss_of(one, [first, second], s)
    torch.testing.assert_close(both, (loss_of(one, [first], s) + loss_of(one, [second], s)) / 2)
    torch.testing.assert_close(one.ensemble.forward_kl([first, second], s), both, msg="at temperature 1 they are one")
    assert len(student(teacher, teachers=(teacher, teacher)).ensemble.policies) == 2


def test_other_actions(teacher: str) -> None:
    """MultiDiscrete: the sum over choices. Gaussians: torch's closed form."""
    one = student(teacher)
    t, s = logits(0), logits(1)
    parts = sum(by_hand(x, y, "forward", 1) for x, y in zip(t.split((2, 3), -1), s.split((2, 3), -1), strict=True))
    torch.testing.assert_close(loss_of(one, [MultiCategorical(t, (2, 3))], MultiCategorical(s, (2, 3))), parts)
    normals = [torch.distributions.Normal(x, torch.full_like(x, 0.5)) for x in (t, s)]
    gaussians = [DiagonalGaussian(x, torch.full_like(x, math.log(0.5))) for x in (t, s)]
    expected = torch.distributions.kl_divergence(*normals).sum(-1).mean()
    torch.testing.assert_close(loss_of(one, gaussians[:1], gaussians[1]), expected)


@pytest.mark.parametrize("direction", ["forward", "reverse", "js"])
def test_a_student_that_is_its_teacher_has_nothing_to_learn(direction: str, teacher: str) -> None:
    one = student(teacher, direction=direction, temperature=2.0)
    one.warm_start(teacher)
    rows: list[dict[str, float]] = []
    one.learn(80, [lambda status: rows.append({key: float(x) for key, x in status.metrics.items()})])
    assert len(rows) == 10
    for row in rows:
        for name in ("train/distill_loss", "train/teacher_kl", "train/policy_shift_kl"):
            assert row[name] == pytest.approx(0, abs=1e-13), "one row's logits depend on its batch in their last bit"
        assert row["train/grad_norm"] == pytest.approx(0, abs=1e-7)


def test_a_ppo_teaches(tmp_path: Path) -> None:
    ppo = PPO("CartPole-v1", engine="torch")
    one = Distill(A2C("CartPole-v1", engine="torch"), teachers=(str(ppo.save(tmp_path / "ppo")),))
    obs = torch.as_tensor(ppo.worlds.reset()[0])
    (taught,) = one.ensemble.distributions(obs, None)
    torch.testing.assert_close(taught.raw, ppo.policy(ppo.learner.encoded(obs)).raw)


def rollout(distill: Distill) -> Rollout:
    obs, _ = distill.worlds.reset()
    return collect(distill.worlds, distill, obs, 6, 0)[0]


def test_the_losses_add(teacher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """rl_coef · L_A2C + distill_coef · D; without L_A2C, the entropy bonus is added alone. Teachers get no gradient."""
    descended: list[Objective] = []
    for rl_coef in (0.0, 0.3):
        agent = A2C("CartPole-v1", ent_coef=0.1, **FEW)
        one = Distill(
            agent, teachers=(teacher,), distill_coef=0.7, rl_coef=rl_coef, temperature=2.0, direction="reverse"
        )
        batch = rollout(one)
        monkeypatch.setattr(agent.learner, "descend", lambda loss, batch, progress: descended.append(loss) or {})
        one.update(batch, 0.5)
        loss = descended[-1].loss
        own = agent.objective(batch, 0.5)
        master = one.ensemble.policies[0]
        distilled = by_hand(master.policy(master.learner.encoded(batch.obs)).raw.detach(), own.pi.raw, "reverse", 2.0)
        alone = rl_coef * own.loss if rl_coef else -0.1 * own.pi.entropy().mean()
        torch.testing.assert_close(loss, alone + 0.7 * distilled, rtol=1e-4, atol=1e-6)
        parameters = list(agent.policy.parameters())
        found, expected = (
            torch.autograd.grad(x, parameters, retain_graph=True) for x in (loss, alone + 0.7 * distilled)
        )
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)
        others = list(master.policy.parameters())
        assert all(x is None for x in torch.autograd.grad(loss, others, allow_unused=True))


@pytest.mark.parametrize("recorded", [False, True])
def test_the_student_becomes_its_teacher(recorded: bool, teacher: str, tmp_path: Path) -> None:
    """On its own states or on recorded, unlabeled ones; the teacher does not change."""
    own: dict[str, object] = {}
    if recorded:
        obs = np.random.default_rng(0).normal(0, 0.5, (400, 4)).astype(np.float32)
        file = made(tmp_path / "d", "CartPole-v1", obs, np.zeros(400, np.int64), length=4)
        own = {"demonstrations": file, "batch_size": 64, "patience": 1000}
    agent = A2C("CartPole-v1", net_arch=(16,), num_envs=16, n_steps=4, learning_rate=0.01, use_rms_prop=False)
    one = Distill(agent, teachers=(teacher,), **own)
    before = [x.clone() for x in one.ensemble.policies[0].policy.parameters()]
    kl: list[float] = []
    one.learn(64 * 300, [lambda status: kl.extend(status.series["train/teacher_kl"].reshape(-1).tolist())])
    assert len(kl) == 300
    assert np.mean(kl[-20:]) < 0.1 * np.mean(kl[:5])
    if recorded:
        assert one.epochs.best_loss < 0.1 * kl[0]
    after = one.ensemble.policies[0].policy.parameters()
    assert all(torch.equal(x, y) for x, y in zip(before, after, strict=True))


def test_teachers_that_do_not_fit(teacher: str, tmp_path: Path) -> None:
    acrobot = str(A2C("Acrobot-v1", **FEW).save(tmp_path / "acrobot"))
    memory = str(A2C("CartPole-v1", gru_size=4, **FEW).save(tmp_path / "memory"))
    for run, words in ((acrobot, "was trained on Box"), (memory, "is recurrent; a teacher must not have a gru_size")):
        with pytest.raises(ConfigError, match=words):
            student(teacher, teachers=(teacher, run))
    real = str(A2C("ContinuousTarget-v0", **FEW).save(tmp_path / "real"))
    for own, words in (
        ({"temperature": 2.0}, "temperature divides logits"),
        ({"direction": "js"}, "direction js is for Discrete actions"),
    ):
        with pytest.raises(ConfigError, match=words):
            Distill(A2C("ContinuousTarget-v0", **FEW), teachers=(real,), **own)
    with pytest.raises(ConfigError, match=r"squash_output is False in .*, but True here; make them equal"):
        Distill(A2C("ContinuousTarget-v0", squash_output=True, **FEW), teachers=(real,))


def test_other_spaces_are_named_in_one_line(tmp_path: Path) -> None:
    teacher = A2C("CartPole-v1", num_envs=1).save(tmp_path / "teacher")
    with pytest.raises(ConfigError, match=r"was trained on Box\(.* the student has Box\(") as raised:
        Distill(A2C("CartPole-v1", num_envs=1, frame_stack=2), teachers=(str(teacher),))
    assert "\n" not in str(raised.value)
