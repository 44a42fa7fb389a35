"""A recurrent policy remembers what it was shown within an episode, and nothing from earlier episodes."""

import numpy as np
import pytest
import torch

from agents import A2C
from agents.networks.encoders import RecurrentInput
from agents.networks.forward import next_value, policy_and_value
from agents.rollout import NO_CONTEXT, Context, collect
from agents.settings.values import ConfigError
from envs import make
from rl import evaluate

RECALL = "envs.probes:Recall-v0"
SETTINGS = {"num_envs": 16, "n_steps": 6, "learning_rate": 5e-3, "use_rms_prop": False, "ent_coef": 0.01}


def test_recall_needs_a_memory() -> None:
    recurrent = A2C(RECALL, gru_size=16, **SETTINGS).learn(25_000)
    forgetful = A2C(RECALL, **SETTINGS).learn(10_000)
    assert evaluate(recurrent, RECALL, 200).mean > 0.4  # half of the contexts pay 1, the other half can be declined
    assert abs(evaluate(forgetful, RECALL, 200).mean) < 0.2


def test_predict_carries_the_memory_as_stable_baselines3_does() -> None:
    agent = A2C(RECALL, gru_size=8, num_envs=1)
    shown, blank = np.ones(1, np.float32), np.zeros(1, np.float32)
    _, state = agent.predict(shown, deterministic=True)
    _, remembered = agent.predict(blank, state, np.array([False]), deterministic=True)
    _, forgot = agent.predict(blank, state, np.array([True]), deterministic=True)
    _, fresh = agent.predict(blank, deterministic=True)
    assert remembered is not None
    assert forgot is not None
    assert fresh is not None
    assert torch.equal(forgot, fresh)
    assert not torch.equal(remembered, fresh)


@pytest.mark.parametrize("n_steps", [1, 4, 7])
def test_learning_sees_what_acting_saw(n_steps) -> None:
    agent = A2C(RECALL, gru_size=8, num_envs=3, n_steps=n_steps)
    obs, _ = agent.worlds.reset()
    state = None
    for _ in range(4):
        rollout, obs, _ = collect(agent.worlds, agent, obs, n_steps, 0, state)
        pi, _ = policy_and_value(agent.policy, agent.value, agent.learner.inputs(rollout))
        torch.testing.assert_close(pi.raw, rollout.behavior)
        assert rollout.recurrent_states is not None
        state = rollout.recurrent_states.after[-1].masked_fill(rollout.ended[-1, :, None], 0.0)


def test_nothing_is_remembered_from_the_episode_before() -> None:
    agent = A2C(RECALL, gru_size=8, num_envs=2, n_steps=5)
    rollout, _, _ = collect(agent.worlds, agent, agent.worlds.reset()[0], 5, 0)
    ended = rollout.ended[2]
    assert ended.all()
    first = agent.act(rollout.obs[3].numpy(), context=NO_CONTEXT)
    torch.testing.assert_close(first.raw, rollout.behavior[3])


def test_the_successor_is_seen_with_the_memory_of_the_state_before() -> None:
    agent = A2C(RECALL, gru_size=8, num_envs=4, n_steps=3, gamma=0.5)
    rollout, _, _ = collect(agent.worlds, agent, agent.worlds.reset()[0], 3, 0)
    advantage, target = agent.estimate(rollout)
    _, v = policy_and_value(agent.policy, agent.value, agent.learner.inputs(rollout))
    # λ = 1 and the episode ends with the rollout: the target is the discounted return, for any V(s′) in between
    expected = torch.stack([rollout.reward[2] * 0.5**k for k in (2, 1, 0)])
    torch.testing.assert_close(target, expected)
    torch.testing.assert_close(advantage, expected - v.detach())


def test_values_of_successors_are_those_of_the_next_row_where_it_shows_them() -> None:
    agent = A2C(RECALL, gru_size=8, num_envs=3, n_steps=12)
    obs, _ = agent.worlds.reset()
    batch, _, _ = collect(agent.worlds, agent, obs, 12, 0)
    shown = batch.next_obs.clone()
    shown[4, 1] += 1.0  # different from the next row's
    batch = batch._replace(next_obs=shown)
    inputs = agent.learner.inputs(batch)
    _, v = policy_and_value(agent.policy, agent.value, inputs)
    past = RecurrentInput(batch.recurrent_states.after.flatten(0, 1), torch.zeros(1, 36, dtype=torch.bool))
    expected = agent.value(inputs.x_next.flatten(0, 1)[None], past).reshape(12, 3)
    assert batch.ended.any()
    torch.testing.assert_close(next_value(agent.value, v, inputs, batch), expected, rtol=0, atol=1e-6)


def test_resume_is_exact(tmp_path) -> None:
    def agent(**settings):
        return A2C(RECALL, gru_size=8, num_envs=3, n_steps=4, **settings)

    whole = agent().learn(12 * 10)
    agent().learn(12 * 5).save(tmp_path / "half")
    resumed = A2C.load(tmp_path / "half")
    assert resumed.loop.exact
    resumed.learn(12 * 5)
    for ours, theirs in zip(resumed.policy.parameters(), whole.policy.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_shared_layers() -> None:
    with pytest.raises(ConfigError, match="gru_size"):
        A2C(RECALL, gru_size=8, shared_layers="nothing")
    agent = A2C("CartPole-v1", shared_layers="all", n_steps=5, num_envs=2, learning_rate=1e-2, engine="torch")
    assert agent.value.shares_trunk
    assert sum(p.numel() for p in agent.value.parameters()) == 65
    before = [p.clone() for p in agent.policy.trunk.parameters()]
    agent.learn(10)
    assert all(not torch.equal(p, q) for p, q in zip(agent.policy.trunk.parameters(), before, strict=True))
    obs = make("CartPole-v1", 2).reset()[0]
    assert agent.act(obs, context=Context()).action.shape == (2,)
