"""Every combination of observation and action space runs and is learned from."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

import agents.fused.engine as fused_engine
from agents import A2C
from agents.maths.schedules import Linear
from agents.networks.encoders import image_parts
from agents.settings.values import ConfigWarning
from envs import batched, make
from envs.spaces import to_env_action
from rl import evaluate
from tests.matrix import ACTIONS, OBSERVATIONS, Match
from tests.toys import Shaped


@pytest.mark.parametrize("actions", ACTIONS)
@pytest.mark.parametrize("observations", OBSERVATIONS)
def test_every_observation_space_with_every_action_space_is_learned(observations, actions):
    check_learned(OBSERVATIONS[observations], ACTIONS[actions])


@pytest.mark.parametrize(
    ("space", "action_space"),
    [
        pytest.param(spaces.Box(-1, 1, (3,), np.float16), spaces.Discrete(3), id="half precision"),
        pytest.param(spaces.Box(0, 3, (3,), np.uint16), spaces.Discrete(3), id="unsigned"),
        pytest.param(OBSERVATIONS["vector"], spaces.Box(-1, 1, (), np.float32), id="a single real action"),
        pytest.param(OBSERVATIONS["vector"], spaces.Discrete(1), id="no choice"),
    ],
)
def test_rare_spaces_are_learned(space, action_space):
    check_learned(space, action_space)


VAST = spaces.Box(np.finfo(np.float64).min, np.finfo(np.float64).max, (2,), np.float64)  # `sample` overflows


class Still(Shaped):
    """Shows zeros."""

    def __init__(self):
        super().__init__(VAST, spaces.Discrete(2))

    def reset(self, *, seed=None, options=None):
        return np.zeros(2), {}

    def step(self, action):
        return np.zeros(2), 0.0, False, False, {}


def test_bounds_of_the_largest_number_are_learned_within(tmp_path):
    agent = A2C(Still, num_envs=2, engine="torch").learn(10)
    loaded = A2C.load(agent.save(tmp_path / "a"))  # without the environment
    zeros = [each.predict(np.zeros(2), deterministic=True)[0] for each in (agent, loaded)]
    assert zeros[0] == zeros[1]


def test_kernels_are_compiled_for_such_bounds_too(monkeypatch):
    asked = []
    monkeypatch.setattr(fused_engine, "compiled_for", lambda kernel, arguments: asked.append(arguments[1]))
    agent = A2C(Still, num_envs=2, engine="fused")
    agent.compile()
    assert (asked[0].shape, asked[0].dtype) == ((2, 2), np.float64)


def check_learned(space, action_space):
    agent = A2C(
        lambda: Match(space, action_space), num_envs=16, use_rms_prop=False, learning_rate=Linear(1e-2, 0.0),
        features_dim=32, net_arch=(32,), log_std_init=-1.0, max_policy_shift=0.05,
    )  # fmt: skip
    agent.learn(16 * 100)
    result = evaluate(agent, lambda: Match(space, action_space), 40)
    assert result.mean > 0.85  # one action for both contexts scores 0.5 at most


def test_actions_have_the_type_of_their_space():
    space = spaces.Discrete(3, start=4)
    space.dtype = np.dtype(np.int8)  # an argument in recent versions of Gymnasium
    action = to_env_action(space, np.array([0, 2]))
    assert (action.dtype, action.tolist()) == (np.int8, [4, 6])


@pytest.mark.parametrize(
    ("shape", "images"),
    [
        ((5, 5), [((1, 5, 5), False)]),
        ((4, 5), []),
        ((5, 5, 3), [((5, 5, 3), True)]),
        ((3, 5, 9), [((3, 5, 9), False)]),
        ((4, 4, 3), []),
        ((10, 4, 10), []),  # 10 channels and too few rows, in either layout
        ((40, 3, 40), []),
        ((6, 6, 6), [((6, 6, 6), True)]),
        ((2, 8, 8, 3), []),
    ],
)
def test_which_boxes_are_images(shape, images):
    space = spaces.Box(0, 255, shape, np.uint8)
    assert [(image.shape, image.channels_last) for image in image_parts(space, "auto")] == images
    agent = A2C(lambda: Shaped(space, spaces.Discrete(2)), num_envs=1, features_dim=4)
    assert agent.act(agent.worlds.reset()[0]).action.shape == (1,)


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


def test_a_large_image_is_warned_of_with_its_size():
    space = spaces.Box(0, 255, (240, 320, 3), np.uint8)
    words = (
        r"images 240 × 320 × 3 \(channels last\) have 3\d,\d{3},\d{3} parameters: shrink them, by atari_prep.*Resize"
    )
    with pytest.warns(ConfigWarning, match=words):
        A2C(lambda: Shaped(space, spaces.Discrete(2)), num_envs=1)
    A2C(lambda: Shaped(spaces.Box(0, 255, (84, 84, 4), np.uint8), spaces.Discrete(2)), num_envs=1)  # no warning
