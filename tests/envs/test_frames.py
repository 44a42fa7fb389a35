"""Frame stacking: an image's layout is decided once, and every space can be stacked."""

import numpy as np
import pytest
from gymnasium import spaces

from agents import A2C
from agents.networks.encoders import image_parts
from envs import UnsupportedSpace, Variant, make
from envs.spaces import image_layout
from tests.toys import Counter, Picture, Shaped


@pytest.mark.parametrize(
    ("shape", "count", "image", "channels"),
    [
        pytest.param((7, 7, 3), 4, (7, 7, 12), "last", id="7 × 7 × 3"),
        pytest.param((10, 10, 4), 4, (10, 10, 16), "last", id="10 × 10 × 4"),
        pytest.param((3, 7, 7), 4, (12, 7, 7), "first", id="3 × 7 × 7"),
        pytest.param((7, 7), 10, (10, 7, 7), "first", id="gray"),
        pytest.param((8, 8, 8), 2, (8, 8, 16), "last", id="as many channels as pixels"),
    ],
)
def test_stacked_images_keep_the_layout_of_a_frame(shape, count, image, channels):
    agent = A2C(lambda: Picture(shape), num_envs=2, frame_stack=count, features_dim=4, n_steps=2)
    (part,) = image_parts(agent.worlds.env_obs_space, "auto")
    assert (part.shape, part.channels_last) == (image, channels == "last")
    inputs = image[2] if channels == "last" else image[0]
    assert agent.policy.trunk.encoder.convolutions[0][0].in_channels == inputs
    assert f"images {' × '.join(map(str, image))} (channels {channels})" in agent.describe()["networks"]
    agent.learn(8)


def test_the_layout_comes_back_with_a_checkpoint_and_from_a_process(tmp_path):
    agent = A2C(lambda: Picture((7, 7, 3)), num_envs=2, frame_stack=4, features_dim=4)
    loaded = A2C.load(agent.save(tmp_path / "a"), lambda: Picture((7, 7, 3)))
    assert image_layout(loaded.worlds.env_obs_space) == "channels last"
    worlds = make(lambda: Picture((7, 7, 3)), 1, variant=Variant(frame_stack=4), backend="async")
    assert image_layout(worlds.env_obs_space) == "channels last"
    worlds.close()


def test_a_stack_of_vectors_is_no_image():
    agent = A2C(lambda: Shaped(spaces.Box(0, 255, (9,), np.uint8), spaces.Discrete(2)), num_envs=1, frame_stack=6)
    assert agent.obs_space.shape == (6, 9)
    assert agent.policy.trunk.encoder is None


class Structured(Counter):
    """All parts show the step number."""

    def __init__(self):
        super().__init__(5)
        self.observation_space = spaces.Dict(
            bits=spaces.MultiBinary(2),
            choice=spaces.Discrete(9, start=-1),
            inner=spaces.Tuple([spaces.MultiDiscrete([9, 9]), spaces.Box(-1, 9, (2,), np.float32)]),
            view=spaces.Box(0, 255, (7, 7, 3), np.uint8),
        )

    def show(self):
        t = self.count
        return {
            "bits": np.array([t % 2, 0], np.int8),
            "choice": t - 1,
            "inner": (np.array([t, 0]), np.array([t, -1], np.float32)),
            "view": np.full((7, 7, 3), t, np.uint8),
        }


def test_every_part_of_a_dict_is_stacked():
    worlds = make(Structured, 1, variant=Variant(frame_stack=2))
    space = worlds.env_obs_space
    assert space["bits"] == spaces.MultiBinary((2, 2))
    assert space["choice"] == spaces.MultiDiscrete([9, 9], start=[-1, -1])
    assert space["inner"][0] == spaces.MultiDiscrete([[9, 9], [9, 9]])
    assert space["inner"][1].shape == (2, 2)
    assert space["view"] == spaces.Box(0, 255, (7, 7, 6), np.uint8)
    worlds.reset()
    worlds.step(np.zeros(1, np.int64))
    row = worlds.step(np.zeros(1, np.int64))[4]["next_obs"][0]
    assert row[:4].tolist() == [1, 0, 0, 0]  # bits of steps 1 and 2
    assert np.flatnonzero(row[4:22]).tolist() == [1, 9 + 2]
    assert np.flatnonzero(row[22:58]).tolist() == [1, 9, 18 + 2, 18 + 9]
    assert row[58:62].tolist() == [1, -1, 2, -1]
    view = row[62:].reshape(7, 7, 6)
    assert (view == [1, 1, 1, 2, 2, 2]).all()
    agent = A2C(Structured, num_envs=2, frame_stack=2, features_dim=4).learn(20)
    assert agent.worlds.resume == "state"
    assert "images 7 × 7 × 6 (channels last)" in agent.describe()["networks"]


def test_choices_alone_are_stacked():
    agent = A2C("FrozenLake-v1", num_envs=2, frame_stack=3, engine="torch").learn(20)
    assert agent.obs_space.shape == (48,)


def test_a_part_that_cannot_be_stacked_is_named():
    space = spaces.Dict(a=spaces.Discrete(2), b=spaces.Text(4))
    with pytest.raises(UnsupportedSpace, match=r"Text observations in its part \['b'\]"):
        make(lambda: Shaped(space, spaces.Discrete(2)), 1, variant=Variant(frame_stack=2))
