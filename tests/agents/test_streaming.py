"""Streaming actor-critic: its update recomputed independently, its traces against the forward view, its interface."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

import rl
from agents import A2C, registry
from agents.fused.stream_shared import StreamShared
from agents.rollout import Rollout, collect
from agents.settings.values import ConfigError
from agents.streaming import StreamAC

LINEAR = {"net_arch": (), "normalize_observations": False, "normalize_rewards": False, "sparsity": 0.0}
Arrays = tuple[np.ndarray, np.ndarray]  # weights and biases


def transitions(agent: StreamAC, count: int) -> list[Rollout]:
    obs, _ = agent.worlds.reset()
    found = []
    for _ in range(count):
        rollout, obs, _ = collect(agent.worlds, agent, obs, 1, 0)
        found.append(rollout)
    return found


def slope_and_push(z: np.ndarray, a: int, delta: float, form: str) -> tuple[np.ndarray, np.ndarray]:
    """What the logits z add to the trace, ∇ ln π(a), and to the step, the gradient of the entropy bonus 0.05 H.

    With entropy_form td_error, that gradient is added to the trace instead, with the sign of δ.
    """
    p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
    entropy = -(p * np.log(p)).sum()
    bonus = -0.05 * p * (np.log(p) + entropy)
    slope = np.eye(2)[a] - p + (np.sign(delta) * bonus if form == "td_error" else 0)
    return slope, bonus if form == "constant" else np.zeros(2)


def take_step(kappa: float, delta: float, parameters: Arrays, traces: Arrays, pushes: Arrays) -> None:
    """θ ← θ + α (δ e + push), α = 1 / max(κ max(|δ|, 1) ‖e‖₁, 1)."""
    step = 1 / max(kappa * max(abs(delta), 1) * sum(np.abs(e).sum() for e in traces), 1)
    for parameter, e, direction in zip(parameters, traces, pushes, strict=True):
        parameter += step * (delta * e + direction)


@pytest.mark.parametrize("engine", ["torch", "fused"])
@pytest.mark.parametrize(("truncation", "form"), [("bootstrap", "constant"), ("terminate", "td_error")])
def test_an_update_of_linear_networks(truncation: str, form: str, engine: str) -> None:
    """All numbers in an update of a softmax policy and a linear critic, recomputed in NumPy, for both kinds of ends."""
    torch.set_default_dtype(torch.float64)
    try:
        agent = StreamAC(
            "CartPole-v1", max_episode_steps=12, trace_decay=0.7, truncation=truncation, ent_coef=0.05,
            entropy_form=form, seed=3, engine=engine, **LINEAR,
        )  # type: ignore[arg-type]  # fmt: skip
        w, b = (p.detach().numpy().copy() for p in agent.policy.parameters())
        u, c = (p.detach().numpy().copy() for p in agent.value.parameters())
        e_w, e_b, e_u, e_c = (np.zeros_like(x) for x in (w, b, u, c))
        ends = set()
        for batch in transitions(agent, 120):
            agent.update(batch)
            s, s_next = (x.numpy()[0, 0].astype(np.float64) for x in (batch.obs, batch.next_obs))
            a, r = int(batch.action), float(batch.reward)
            terminated, truncated = bool(batch.terminated), bool(batch.truncated)
            final = terminated or (truncated and truncation == "terminate")
            delta = r + (0 if final else 0.99 * float(u[0] @ s_next + c[0])) - float(u[0] @ s + c[0])
            slope, push = slope_and_push(w @ s + b, a, delta, form)
            e_u, e_c = 0.99 * 0.7 * e_u + s, 0.99 * 0.7 * e_c + 1
            e_w, e_b = 0.99 * 0.7 * e_w + np.outer(slope, s), 0.99 * 0.7 * e_b + slope
            take_step(2.0, delta, (u, c), (e_u, e_c), (np.zeros_like(u), np.zeros_like(c)))
            take_step(3.0, delta, (w, b), (e_w, e_b), (np.outer(push, s), push))
            if terminated or truncated:
                ends.add(terminated)
                for e in (e_w, e_b, e_u, e_c):
                    e[:] = 0
        for ours, expected in zip([*agent.policy.parameters(), *agent.value.parameters()], (w, b, u, c), strict=True):
            np.testing.assert_allclose(ours.detach().numpy(), expected, rtol=1e-9, atol=1e-12)
        assert ends == {True, False}
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("trace_decay", [0.0, 0.6, 1.0])
def test_traces_are_the_backward_view_of_lambda_returns(trace_decay: float) -> None:
    """With frozen networks, Σ δ_t e_t = Σ (G_t^λ − V(s_t)) ∇V(s_t) over an episode (Sutton & Barto 2018, 12.2)."""
    torch.set_default_dtype(torch.float64)
    try:
        agent = StreamAC("CartPole-v1", trace_decay=trace_decay, net_arch=(8,), sparsity=0.0, seed=1)
        episode, found = transitions(agent, 60), list[Rollout]()
        for batch in episode:
            found.append(batch)
            if bool(batch.ended):
                break
        parameters, traces = agent.learner.value_traces.parameters, agent.learner.value_traces
        values, successors, rewards = [], [], []
        backward = [torch.zeros_like(p) for p in parameters]
        for batch in found:
            v, after = (
                agent.value(agent.learner.encoded(batch.obs)).squeeze(),
                agent.value(agent.learner.encoded(batch.next_obs)).squeeze(),
            )
            delta = (batch.reward.squeeze() + 0.99 * after * (~batch.terminated.squeeze()) - v).detach()
            traces.accumulate(torch.autograd.grad(v, parameters))
            backward = [total + delta * e for total, e in zip(backward, traces.traces, strict=True)]
            values.append(agent.value(agent.learner.encoded(batch.obs)).squeeze())
            successors.append(float(after.detach()) * (not bool(batch.terminated)))
            rewards.append(float(batch.reward))
        target, goal = 0.0, list[float]()
        for t in reversed(range(len(found))):
            last = t == len(found) - 1
            mixed = successors[t] if last else (1 - trace_decay) * successors[t] + trace_decay * target
            target = rewards[t] + 0.99 * mixed
            goal.insert(0, target)
        loss = torch.stack([(g - float(v.detach())) * v for g, v in zip(goal, values, strict=True)]).sum()
        for total, expected in zip(backward, torch.autograd.grad(loss, parameters), strict=True):
            torch.testing.assert_close(total, expected)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("engine", ["torch", "fused"])
def test_the_policy_shift_is_bounded(engine: str) -> None:
    free = StreamAC("CartPole-v1", seed=0, net_arch=(32,), engine=engine)  # type: ignore[arg-type]
    bound = StreamAC("CartPole-v1", seed=0, net_arch=(32,), max_policy_shift=1e-4, engine=engine)  # type: ignore[arg-type]
    largest = []
    for agent in (free, bound):
        shifts = list[float]()
        agent.learn(
            300, hooks=[lambda status, shifts=shifts: shifts.append(float(status.metrics["train/policy_shift_kl"]))]
        )
        largest.append(max(shifts))
    assert largest[0] > 1e-4 >= largest[1] > 0


@pytest.mark.parametrize("engine", ["torch", "fused"])
@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1", "FrozenLake-v1"])
def test_a_resumed_stream_goes_on_as_it_was(env: str, engine: str, tmp_path: Path) -> None:
    whole, part = (StreamAC(env, seed=2, net_arch=(16,), trace_decay=0.8, engine=engine) for _ in range(2))  # type: ignore[arg-type]
    whole.learn(300)
    part.learn(150)
    part.save(tmp_path / "stream.pt")
    again = registry.load(tmp_path / "stream.pt")
    assert isinstance(again, StreamAC)
    again.learn(150)
    for name in ("policy", "value"):
        for p, q in zip(getattr(whole, name).parameters(), getattr(again, name).parameters(), strict=True):
            assert torch.equal(p, q)


class Parts(gym.Env[np.ndarray, np.ndarray]):
    """Two simultaneous choices, the first of which must be 2: MultiDiscrete actions."""

    observation_space = spaces.Box(-1, 1, (2,))
    action_space = spaces.MultiDiscrete([3, 2])

    def reset(self, *, seed: int | None = None, options: dict[str, object] | None = None):  # type: ignore[no-untyped-def]
        super().reset(seed=seed)
        self.left = 10
        return np.ones(2, np.float32), {}

    def step(self, action: np.ndarray):  # type: ignore[no-untyped-def]
        self.left -= 1
        return np.ones(2, np.float32), float(action[0] == 2), self.left == 0, False, {}


def test_factored_actions_are_learned() -> None:
    agent = StreamAC(Parts, seed=0, net_arch=(16,)).learn(2_000)
    action, _ = agent.predict(np.ones(2, np.float32), deterministic=True)
    assert action[0] == 2


@pytest.mark.slow
def test_one_environment_solves_cartpole() -> None:
    """475 needs a median of 7,000 to 12,000 steps; A2C with one environment scores 9 here."""
    agent = StreamAC("CartPole-v1", seed=0, net_arch=(32, 32)).learn(20_000)
    assert rl.evaluate(agent, "CartPole-v1", episodes=20).mean >= 475


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_envs": 8}, "num_envs and n_steps must be 1, got 8 and 1"),
        ({"n_steps": 5}, "num_envs and n_steps must be 1, got 1 and 5"),
        ({"trace_decay": 1.5}, "trace_decay must lie between 0 and 1"),
        ({"sparsity": 1.0}, "sparsity must be at least 0 and below 1"),
        ({"engine": "fused", "threads": 2}, "engine fused does not fit: it runs on one thread"),
        ({"gru_size": 8}, "stream does not support gru_size"),
        ({"use_sde": True}, "stream does not support use_sde"),
        ({"shared_layers": "all"}, "stream has a trace for each network"),
        ({"step_rule": "intentional", "step_size": 0.5}, "step_size does nothing with step_rule intentional"),
        ({"attainable_intent": False}, "attainable_intent does nothing with step_rule obgd"),
        ({"value_intent": 0.1}, "value_intent does nothing with step_rule obgd"),
        (
            {"step_rule": "intentional", "gamma": 1.0, "trace_decay": 1.0},
            "step_rule intentional divides by 1 − γλ: set gamma or trace_decay below 1",
        ),
        ({"policy_overshoot": 0.0}, "policy_overshoot must be positive"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StreamAC("CartPole-v1", **settings)  # type: ignore[arg-type]


def test_a2c_takes_the_parts_of_the_networks() -> None:
    agent = A2C("CartPole-v1", layer_norm=True, activation="leaky_relu", sparsity=0.9, net_arch=(16,)).learn(80)
    assert agent.engine_in_use == "fused"


def test_a_policy_that_is_not_finite_ends_training() -> None:
    """With Discrete actions it went on to the end, NaN; with a Box, the environment was blamed for its reward."""
    for env_id in ("CartPole-v1", "Pendulum-v1"):
        agent = StreamAC(env_id, engine="torch", backend="sync", ent_coef=1e30)
        with pytest.raises(FloatingPointError, match="moved the policy infinitely far; lower ent_coef, step_size or"):
            agent.learn(100)
    shared = StreamShared(StreamAC("CartPole-v1", engine="torch").learner)
    shared.memory(1, 1)
    shared.write_back(np.zeros(1, shared.report))
    with torch.no_grad():
        shared.learner.policy.net[0].weight[0, 0] = torch.nan
    with pytest.raises(FloatingPointError, match="moved the policy infinitely far"):
        shared.write_back(np.zeros(1, shared.report))
