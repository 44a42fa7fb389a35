"""Every observation space with every action space: not only run, but learned from."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents import A2C
from envs import make
from envs.spaces import batched
from rl import evaluate
from tests.matrix import ACTIONS, OBSERVATIONS, Match
from tests.toys import Shaped


@pytest.mark.parametrize("actions", ACTIONS)
@pytest.mark.parametrize("observations", OBSERVATIONS)
def test_every_observation_space_with_every_action_space_is_learned(observations, actions):
    space, action_space = OBSERVATIONS[observations], ACTIONS[actions]
    agent = A2C(
        lambda: Match(space, action_space), num_envs=16, use_rms_prop=False, learning_rate=5e-3, features_dim=32,
        net_arch=(32,), log_std_init=-1.0, max_policy_shift=0.05,
    )  # fmt: skip
    agent.learn(16 * 200)
    result = evaluate(agent, lambda: Match(space, action_space), 40)
    assert result.mean > 0.85  # one action for both contexts pays 0.5 at most


@pytest.mark.parametrize("observations", OBSERVATIONS)
def test_predict_takes_one_observation_or_a_batch(observations):
    space = OBSERVATIONS[observations]
    agent = A2C(lambda: Shaped(space, spaces.Discrete(5)), num_envs=1, features_dim=16)
    worlds = make(lambda: Shaped(space, spaces.Discrete(5)), 3)
    with torch.no_grad():
        agent.policy.net[-1].bias[3] = 10.0
    action, state = agent.predict(space.sample(), deterministic=True)
    assert (np.shape(action), int(action), state) == ((), 3, None)
    rows, _ = worlds.reset()
    assert rows.shape == (3, *worlds.obs_space.shape)
    samples = [space.sample() for _ in range(3)]
    stacked = _stack(space, samples)
    assert agent.predict(stacked, deterministic=True)[0].tolist() == [3, 3, 3]
    packed, single = batched(space, stacked)
    assert not single
    for row, sample in zip(packed, samples, strict=True):
        np.testing.assert_array_equal(row, batched(space, sample)[0][0])


def _stack(space, samples):
    if isinstance(space, spaces.Dict):
        return {key: _stack(inner, [s[key] for s in samples]) for key, inner in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_stack(inner, [s[i] for s in samples]) for i, inner in enumerate(space.spaces))
    return np.stack([np.asarray(sample) for sample in samples])
