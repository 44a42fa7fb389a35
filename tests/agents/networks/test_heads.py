"""Gaussians with state-dependent spread, and Gaussians within bounds."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents import A2C
from agents.maths.distributions import BoundedGaussian, TanhGaussian
from agents.networks.forward import policy_step
from agents.networks.heads import Head
from agents.rollout import NO_CONTEXT, collect
from agents.settings.values import ConfigError
from agents.streaming import StreamAC
from rl import evaluate
from tests.matrix import LINE, Match
from tests.toys import Shaped

KINDS = {
    "squashed": {"squash_output": True},
    "state": {"state_dependent_std": True},
    "gSDE": {"use_sde": True},
    "gSDE, squashed": {"use_sde": True, "squash_output": True},
    "state, squashed": {"state_dependent_std": True, "squash_output": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_target_is_learned(kind):
    def build():
        return Match(LINE, spaces.Box(-1, 1, (2,)))

    settings = {"num_envs": 16, "n_steps": 4, "learning_rate": 3e-3, "use_rms_prop": False, "max_policy_shift": 0.05}
    settings["engine"] = "torch"
    initial = -3.0 if "gSDE" in kind else -1.0  # with gSDE, h(s)² adds 64 terms to σ²
    agent = A2C(build, **settings, log_std_init=initial, **KINDS[kind]).learn(16_000)
    assert evaluate(agent, build, 20).mean > 0.9
    assert evaluate(agent, build, 200, deterministic=False).mean > 0.75


@pytest.mark.parametrize("kind", KINDS)
def test_what_acted_is_what_is_learned_from_and_the_gradient_reaches_every_parameter(kind):
    agent = A2C("Pendulum-v1", num_envs=3, n_steps=4, ent_coef=0.01, engine="torch", **KINDS[kind])
    rollout, _, _ = collect(agent.worlds, agent, agent.worlds.reset()[0], 4, 0)
    pi = agent.policy(agent.learner.encoded(rollout.obs))
    torch.testing.assert_close(pi.raw, rollout.behavior)
    assert torch.isfinite(pi.log_prob(rollout.action)).all()
    agent.update(rollout)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in agent.policy.parameters())


def test_bounded_actions_stay_inside_and_reach_both_ends():
    low, high = np.array([-3.0, 0.0], np.float32), np.array([1.0, 10.0], np.float32)
    settings = {"num_envs": 64, "squash_output": True, "log_std_init": 1.0, "engine": "torch"}
    agent = A2C(lambda: Shaped(LINE, spaces.Box(low, high)), **settings)
    action = agent.act(agent.worlds.reset()[0]).action.numpy()
    assert (action >= low).all()
    assert (action <= high).all()
    assert (action.min(0) < low + 0.1 * (high - low)).all()
    assert (action.max(0) > high - 0.1 * (high - low)).all()


def test_bounded_gaussian_is_a_change_of_units():
    mean, log_std = torch.randn(5, 2, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64) / 4
    low, high = torch.tensor([-3.0, 0.0], dtype=torch.float64), torch.tensor([1.0, 10.0], dtype=torch.float64)
    p, unit = BoundedGaussian(mean, log_std, low, high), TanhGaussian(mean, log_std)
    one = BoundedGaussian(mean, log_std, -torch.ones(2).double(), torch.ones(2).double())
    action = unit.sample(torch.Generator().manual_seed(0))
    scaled = low + (action + 1) * (high - low) / 2
    torch.testing.assert_close(one.log_prob(action), unit.log_prob(action))
    torch.testing.assert_close(p.log_prob(scaled), unit.log_prob(action) - np.log(2.0) - np.log(5.0))
    torch.testing.assert_close(p.entropy(), unit.entropy() + np.log(2.0) + np.log(5.0))
    torch.testing.assert_close(p.sample(torch.Generator().manual_seed(0)), scaled)
    with pytest.raises(ValueError, match="outside the bounds"):
        p.log_prob(high + torch.ones(5, 2))
    with pytest.raises(ValueError, match="below high"):
        BoundedGaussian(mean, log_std, high, low)


def test_rounding_does_not_carry_an_action_past_its_bounds():
    low, high = torch.tensor([-0.1, -3.3, -0.37]), torch.tensor([0.3, 0.11, 0.23])
    edge = BoundedGaussian(torch.tensor([[30.0] * 3, [-30.0] * 3]), torch.zeros(2, 3), low, high)
    action = edge.sample(torch.Generator().manual_seed(0))
    torch.testing.assert_close(action, torch.stack([high, low]))
    assert (action >= low).all()
    assert (action <= high).all()
    assert torch.isfinite(edge.log_prob(action)).all()


def test_the_density_integrates_to_one():
    low, high = torch.tensor([-1.0], dtype=torch.float64), torch.tensor([4.0], dtype=torch.float64)
    p = BoundedGaussian(*(torch.full((100_000, 1), x, dtype=torch.float64) for x in (0.3, -0.5)), low, high)
    grid = torch.linspace(-1 + 2.5e-5, 4 - 2.5e-5, 100_000, dtype=torch.float64)[:, None]
    assert p.log_prob(grid).exp().mean() * 5 == pytest.approx(1, abs=1e-4)


def test_noise_stays_for_as_many_steps_as_it_should_and_has_the_policys_spread():
    agent = A2C("Pendulum-v1", num_envs=2000, n_steps=8, use_sde=True, sde_sample_freq=3, log_std_init=-0.5)
    obs = np.repeat(agent.worlds.reset()[0][:1], 2000, 0)
    actions = [agent.act(obs).action for _ in range(6)]
    assert torch.equal(actions[0], actions[2])
    assert not torch.equal(actions[2], actions[3])
    pi = policy_step(agent.policy, agent.learner.encoded(torch.as_tensor(obs)), NO_CONTEXT).pi
    spread = pi.raw[0, 1].exp().item()
    assert actions[0].std().item() == pytest.approx(spread, rel=0.05)
    assert actions[0].mean().item() == pytest.approx(pi.raw[0, 0].item(), abs=0.1 * spread)


@pytest.mark.parametrize(("frequency", "steps"), [(64, 16), (-1, 12)])
def test_noise_is_drawn_anew_for_each_rollout(frequency, steps):
    """Noise with the scale of W before an update was used after it: std(E / e^W) fell to 0.26."""
    agent = A2C("Pendulum-v1", num_envs=4, n_steps=8, use_sde=True, sde_sample_freq=frequency, learning_rate=0.03)
    agent.learn(4 * steps)  # the last rollout may be shorter
    agent.policy.log_std.data += 3.0
    agent.act(agent.worlds.reset()[0])
    scaled = agent.learner.noise.matrices / agent.policy.log_std.exp()
    assert scaled.std().item() == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize(
    ("settings", "actions", "words"),
    [
        ({"squash_output": True}, spaces.Discrete(2), "squash_output is for Box actions"),
        ({"use_sde": True}, spaces.MultiBinary(2), "use_sde is for Box actions"),
        ({"squash_output": True}, spaces.Box(0, np.inf, (1,)), "needs bounds on both sides"),
        ({"squash_output": True}, spaces.Box(-3e38, 3e38, (1,), np.float64), "single precision can hold"),
        ({"squash_output": True}, spaces.Box(-1e300, 1e300, (1,), np.float64), "single precision can hold"),
        (
            {"squash_output": True},
            spaces.Box(np.array([0, 1], np.float32), np.ones(2, np.float32)),
            "with room between them",
        ),
        ({"use_sde": True, "state_dependent_std": True}, LINE, "choose one"),
        ({"log_std_init": 3, "state_dependent_std": True}, LINE, "log_std_init must lie between -20 and 2 with state"),
        ({"sde_sample_freq": 0}, LINE, "sde_sample_freq"),
        ({"network": "cnn"}, LINE, "network cnn needs images"),
        ({"network": "small_cnn"}, LINE, "network small_cnn needs images"),
        ({"network": "resnet"}, LINE, "network must be one of"),
        ({"network": "nosuch:Module"}, LINE, "network nosuch:Module cannot be used"),
        ({"shared_layers": "all", "net_arch": []}, LINE, "needs hidden layers"),
        ({"gru_size": 0}, LINE, "gru_size must be at least 1"),
    ],
)
def test_settings_that_do_not_fit(settings, actions, words):
    with pytest.raises(ConfigError, match=words):
        A2C(lambda: Shaped(LINE, actions), num_envs=1, **settings)


@pytest.mark.parametrize(
    ("low", "high", "settings", "bounds"),
    [
        pytest.param(0, 100, {}, "[0, 100]", id="wide"),
        pytest.param(5, 6, {}, "[5, 6]", id="away from 0"),
        pytest.param(-0.01, 0.01, {}, "[-0.01, 0.01]", id="narrow"),
        pytest.param(-2, 2, {}, None, id="fits"),
        pytest.param(0, 100, {"squash_output": True}, None, id="squashed"),
        pytest.param(0, 100, {"log_std_init": 3.0}, None, id="as wide"),
        pytest.param(-np.inf, np.inf, {}, None, id="no bounds"),
        pytest.param(1, 1, {}, None, id="no room"),
    ],
)
@pytest.mark.parametrize("algorithm", [A2C, StreamAC])
def test_bounds_that_the_initial_policy_does_not_fit_get_a_hint(low, high, settings, bounds, algorithm):
    agent = algorithm(lambda: Shaped(LINE, spaces.Box(low, high, (2,))), num_envs=1, **settings)
    hint = agent.describe().get("actions")
    assert (hint is None) == (bounds is None)
    if hint is not None:
        assert f"fits bounds of {bounds} badly: set squash_output=true" in hint


def test_the_wrapper_of_the_hint_makes_the_bounds_fit():
    wrapper = "RescaleAction:min_action=-1:max_action=1"
    agent = A2C(lambda: Shaped(LINE, spaces.Box(0, 100, (2,))), num_envs=1, wrappers=(wrapper,))
    assert (agent.worlds.env_action_space.low == -1).all()
    assert "actions" not in agent.describe()


@pytest.mark.parametrize("log_std", [-40.0, -1.0, 3.0, 7.0, 40.0])
def test_a_softplus_starts_at_any_log_std(log_std):
    head = Head(spaces.Box(-1, 1, (1,)), log_std_init=log_std, softplus_std=True)
    raw = head.raw(torch.zeros(1, 2), torch.zeros(1, 4), None)
    assert raw[0, 1].item() == pytest.approx(log_std, rel=1e-5)


def test_a_softplus_that_underflows_keeps_its_logarithm_and_gradient():
    """ln softplus(x) is x to a relative 1e-19 at −120, where softplus(x) is 0 in single precision."""
    out = torch.tensor([[0.0, -120.0]], requires_grad=True)
    raw = Head(spaces.Box(-1, 1, (1,)), softplus_std=True).raw(out, torch.zeros(1, 4), None)
    raw[0, 1].backward()
    assert raw[0, 1].item() == pytest.approx(-120 + np.log(np.e - 1), rel=1e-6)
    assert out.grad[0, 1].item() == 1
