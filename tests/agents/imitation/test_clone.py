"""Behavior cloning: maximum likelihood in closed form, held-out episodes, early stopping, warm start from a clone."""

from pathlib import Path

import numpy as np
import pytest
import torch

import envs.probes  # noqa: F401 - registers them
import rl.train
from agents import A2C, registry
from agents.imitation.clone import Clone, negative_log_likelihood
from agents.maths import information
from agents.maths.distributions import Bernoulli, BoundedGaussian, Categorical, DiagonalGaussian, MultiCategorical
from tests.agents.recorded import made
from tests.conftest import Command

LINEAR = {"net_arch": (), "num_envs": 4, "use_rms_prop": False, "learning_rate": "linear(0.1, 0)"}


def contexts(path: Path, ones: dict[float, int], repeats: int) -> str:
    """Each context `repeats` times; ones: context → how often it has action 1."""
    obs = np.repeat(np.array(list(ones), np.float32), repeats)[:, None]
    action = np.concatenate([np.arange(repeats) < k for k in ones.values()]).astype(np.int64)
    return made(path, "ContextAction-v0", obs, action)


def whole(agent: A2C, file: str, rows: int, **own: object) -> Clone:
    """A clone that uses all transitions in every update."""
    return Clone(agent, demonstrations=file, batch_size=rows, validation_fraction=0, **own)


def test_frequencies_are_recovered(tmp_path: Path) -> None:
    """The most likely softmax policy has the actions' frequencies; its cross-entropy is H(p) + KL(p‖π) = H(p)."""
    file = contexts(tmp_path / "d", {-1.0: 30, 1.0: 10}, 40)
    clone = whole(A2C("ContextAction-v0", **LINEAR), file, 80)
    losses: list[float] = []
    clone.learn(80 * 400, [lambda status: losses.extend(status.series["train/loss"].reshape(-1).tolist())])
    p = torch.tensor([[0.25, 0.75], [0.75, 0.25]])
    pi = clone.agent.policy(torch.tensor([[-1.0], [1.0]]))
    torch.testing.assert_close(pi.log_p.exp().detach(), p, rtol=0, atol=1e-3)
    assert len(losses) == 400
    assert losses[0] == pytest.approx(np.log(2), abs=0.02)
    assert losses[-1] == pytest.approx(float(information.entropy(p).mean()), abs=1e-5)


def test_mean_and_deviation_are_recovered(tmp_path: Path) -> None:
    action = np.random.default_rng(0).normal(0.3, 0.2, (80, 1)).astype(np.float32)
    file = made(tmp_path / "d", "ContinuousTarget-v0", np.zeros((80, 1), np.float32), action)
    clone = whole(A2C("ContinuousTarget-v0", **LINEAR), file, 80).learn(80 * 500)
    pi = clone.agent.policy(torch.zeros(1, 1))
    assert float(pi.mean.detach()) == pytest.approx(float(action.mean()), abs=1e-3)
    assert float(pi.log_std.detach().exp()) == pytest.approx(float(action.std()), abs=1e-3)


def test_the_entropy_bonus_keeps_the_policy_broad(tmp_path: Path) -> None:
    """min H(δ, π) − c H(π) over softmax policies: for large c, the optimum is nearly uniform."""
    file = contexts(tmp_path / "d", {-1.0: 36, 1.0: 4}, 40)
    entropies = []
    for ent_coef in (0.0, 0.3, 3.0):
        clone = whole(A2C("ContextAction-v0", **LINEAR, ent_coef=ent_coef), file, 80).learn(80 * 150)
        entropies.append(float(clone.agent.policy(torch.ones(1, 1)).entropy().detach()))
    assert entropies[0] < entropies[1] - 0.05 < entropies[2] - 0.1
    assert entropies[2] == pytest.approx(np.log(2), abs=0.06)


def test_the_loss_is_that_of_the_information_module() -> None:
    """Value and gradient in double precision equal torch's own; forbidden actions get no gradient."""
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(6, 4, generator=draws, dtype=torch.float64).requires_grad_()
    a = torch.randint(2, (6,), generator=draws)
    legal = torch.tensor([True, True, False, True])
    (gradient,) = torch.autograd.grad(negative_log_likelihood(Categorical.masked(x, legal), a), x)
    (expected,) = torch.autograd.grad(torch.nn.functional.cross_entropy(x[:, legal], a), x)
    torch.testing.assert_close(gradient, expected)
    assert not gradient[:, 2].any()
    torch.testing.assert_close(negative_log_likelihood(Categorical(x), a), information.cross_entropy_loss(x, a))

    two = torch.stack([a, a], -1)
    parts = [torch.nn.functional.cross_entropy(part, a) for part in x.split(2, -1)]
    torch.testing.assert_close(negative_log_likelihood(MultiCategorical(x, (2, 2)), two), sum(parts))
    bits = torch.stack([a] * 4, -1)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(x, bits.double(), reduction="none").sum(-1).mean()
    torch.testing.assert_close(negative_log_likelihood(Bernoulli(x), bits), expected)
    real, log_std = torch.randn(6, 4, generator=draws, dtype=torch.float64), torch.full((6, 4), -0.5).double()
    expected = -torch.distributions.Normal(x, log_std.exp()).log_prob(real).sum(-1).mean()
    torch.testing.assert_close(negative_log_likelihood(DiagonalGaussian(x, log_std), real), expected)
    bounds = torch.full((4,), 2.0, dtype=torch.float64)
    edge = negative_log_likelihood(BoundedGaussian(x, log_std, -bounds, bounds), bounds.expand(6, 4))
    assert edge.isfinite(), "an action on its bound"


def test_masks_count(tmp_path: Path) -> None:
    """A single legal action is certain and teaches nothing; of two legal actions, the frequency is learned."""
    legal = np.repeat([[True, True, False], [False, False, True]], 40, 0)
    action = np.concatenate([np.arange(40) < 10, np.full(40, 2)]).astype(np.int64)
    file = made(tmp_path / "d", "ForbiddenAction-v0", np.zeros((80, 1), np.float32), action, legal=legal)
    clone = whole(A2C("ForbiddenAction-v0", **LINEAR), file, 80)
    third = clone.agent.policy.net[-1].bias[2].detach().clone()
    clone.learn(80 * 300)
    pi = clone.agent.policy(torch.zeros(1, 1), None, torch.tensor([True, True, False]))
    torch.testing.assert_close(pi.log_p.exp().detach(), torch.tensor([[0.75, 0.25, 0.0]]), rtol=0, atol=1e-3)
    assert clone.agent.policy.net[-1].bias[2] == third


@pytest.fixture
def noisy(tmp_path: Path) -> str:
    """30 episodes of 4 steps with random actions, so that only overfitting is possible. obs[0]: episode number."""
    rng = np.random.default_rng(0)
    obs = rng.normal(0, 1, (120, 4)).astype(np.float32)
    obs[:, 0] = np.arange(120) // 4
    return made(tmp_path / "noisy", "CartPole-v1", obs, rng.integers(0, 2, 120), length=4)


def overfitting(file: str, **own: object) -> Clone:
    agent = A2C("CartPole-v1", num_envs=4, learning_rate=0.02, use_rms_prop=False, normalize_observations=True)
    return Clone(agent, demonstrations=file, **{"batch_size": 16, "patience": 3, **own})


def test_whole_episodes_are_held_out(noisy: str) -> None:
    epochs = overfitting(noisy, validation_fraction=0.3).epochs
    train, held_out = (set(part.obs[:, 0].tolist()) for part in (epochs.train, epochs.held_out))
    assert (len(train), len(held_out)) == (21, 9)
    assert not train & held_out
    assert len(epochs.held_out.obs) == 36


def test_training_ends_early_with_the_best_policy(noisy: str) -> None:
    clone = overfitting(noisy)
    clone.learn(100_000)
    epochs = clone.epochs
    assert clone.loop.step < 100_000
    assert epochs.finished
    assert clone.loop.iteration == epochs.epoch * (len(epochs.train.obs) // 16)
    best = float(clone.held_out_loss(epochs.held_out).detach())
    assert best == pytest.approx(epochs.best_loss)
    assert best < epochs.loss
    before = clone.loop.step
    clone.learn(1000)
    assert clone.loop.step == before, "there is nothing left to learn"
    assert float(clone.held_out_loss(epochs.held_out).detach()) == pytest.approx(best)


def test_a_hook_ends_it_where_it_is(noisy: str) -> None:
    clone = overfitting(noisy)
    clone.learn(100_000, [lambda status: status.iteration < 9])
    assert clone.loop.iteration == 9
    assert not clone.epochs.finished
    latest = [x.clone() for x in clone.agent.policy.parameters()]
    clone.learn(0)
    assert not all(torch.equal(x, y) for x, y in zip(latest, clone.agent.policy.parameters(), strict=True))


def test_the_order_is_every_transition_once_an_epoch(noisy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = overfitting(noisy, validation_fraction=0, batch_size=12)
    seen: list[float] = []
    original = clone.learn_from

    def spied(batch, progress):  # type: ignore[no-untyped-def]
        seen.extend(batch.obs[:, 1].tolist())
        return original(batch, progress)

    monkeypatch.setattr(clone, "learn_from", spied)
    clone.learn(240)
    everything = sorted(clone.epochs.train.obs[:, 1].tolist())
    assert sorted(seen[:120]) == sorted(seen[120:]) == everything
    assert seen[:120] != seen[120:]


def test_few_steps(noisy: str) -> None:
    """Fewer transitions than a batch make a smaller batch; the value network does not change."""
    clone = overfitting(noisy)
    value = [x.clone() for x in clone.agent.value.parameters()]
    clone.learn(6)
    assert (clone.loop.step, clone.loop.iteration) == (4, 1)
    assert all(torch.equal(x, y) for x, y in zip(value, clone.agent.value.parameters(), strict=True))


def test_an_interrupted_chunk_keeps_its_updates(noisy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clone, counted = overfitting(noisy), list[int]()
    original = clone.learn_from

    def interrupted(batch, progress):  # type: ignore[no-untyped-def]
        if clone.epochs.epoch == 1:
            raise KeyboardInterrupt
        return original(batch, progress)

    monkeypatch.setattr(clone, "learn_from", interrupted)

    def hook(status: object) -> None:
        counted.append(status.iteration)  # type: ignore[attr-defined]

    hook.interval = 100  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        clone.learn(10_000, [hook])
    assert counted == [6]
    assert clone.loop.step == 96


def test_observations_are_normalized_by_the_recorded_statistics(tmp_path: Path) -> None:
    """Each feature by its own statistics, which exclude held-out episodes."""
    obs = np.random.default_rng(0).normal([1, -2, 30, 0], [1, 2, 3, 4], (200, 4)).astype(np.float32)
    file = made(tmp_path / "d", "CartPole-v1", obs, np.zeros(200, np.int64))
    clone = Clone(A2C("CartPole-v1", normalize_observations=True), demonstrations=file, validation_fraction=0.5)
    moments, train = clone.agent.learner.obs_norm.moments, clone.epochs.train.obs.double()
    assert moments.count == len(train) == 100
    torch.testing.assert_close(moments.mean, train.mean(0))
    torch.testing.assert_close(moments.var, train.var(0, correction=0))


def test_squashed_policies_learn_actions_inside_their_bounds_only(tmp_path: Path) -> None:
    obs, action = np.zeros((16, 1), np.float32), np.full((16, 1), 0.5, np.float32)
    agent = A2C("ContinuousTarget-v0", **LINEAR, squash_output=True)
    whole(agent, made(tmp_path / "in", "ContinuousTarget-v0", obs, action), 16).learn(16 * 200)
    assert float(agent.policy(torch.zeros(1, 1)).mode().detach()) == pytest.approx(0.5, abs=0.02)
    action[3] = 1.5
    with pytest.raises(ValueError, match="row 3 lies outside the bounds"):
        whole(agent, made(tmp_path / "out", "ContinuousTarget-v0", obs, action), 16)


def test_training_begins_from_a_clone(noisy: str, tmp_path: Path, command: Command) -> None:
    """On the command line, with learning rate 0, the policy stays that of the clone."""
    clone = overfitting(noisy).learn(400)
    path = clone.save(tmp_path / "clone")
    few = ["total_timesteps=80", "num_envs=4", "eval_episodes=1", "learning_rate=0", f"warm_start={path}"]
    own = ["normalize_observations=true", *few]
    settings = [part for text in own for part in ("--set", text)]
    (tmp_path / "none.yaml").touch()
    argv = ["CartPole-v1", "--config", str(tmp_path / "none.yaml"), "--out", str(tmp_path / "runs"), *settings]
    assert command(rl.train, *argv)[0] == 0
    (run,) = (tmp_path / "runs").glob("*/a2c/*")
    begun = registry.load_actor(run)
    for x, y in zip(begun.policy.parameters(), clone.agent.policy.parameters(), strict=True):
        assert torch.equal(x, y)
