"""Which observation and action spaces `make` supports, and how it names others."""

import numpy as np
import pytest
from gymnasium import spaces

from envs import UnsupportedSpace, make
from tests.envs.test_make import refusal
from tests.toys import LINE, Counter, Shaped, same_step

pytestmark = pytest.mark.filterwarnings("ignore:.*share an object, therefore:UserWarning")  # in the probes

WIDE = spaces.Box(np.arange(40), np.arange(40) + 1, dtype=np.int32)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        pytest.param(spaces.Text(5), ["Text observations", "TransformObservation"], id="Text"),
        pytest.param(spaces.Sequence(LINE), ["Sequence observations"], id="Sequence"),
        pytest.param(
            spaces.Dict(a=LINE, inner=spaces.Tuple([LINE, spaces.Text(3)])),
            ["Text observations in its part ['inner'][1]", "wrappers=[FilterObservation:filter_keys=[a]]"],
            id="inside",
        ),
        pytest.param(spaces.Dict({}), ["observations without any number"], id="empty"),
        pytest.param(
            spaces.Dict(a=LINE, inner=spaces.Dict(b=spaces.Tuple([]))),
            ["Tuple observations in its part ['inner']['b']", "wrappers=[FilterObservation:filter_keys=[a]]"],
            id="empty, inside",
        ),
        pytest.param(spaces.Box(-1, 1, (0, 3), np.float32), ["observations without any number"], id="no rows"),
        pytest.param(
            spaces.Dict(a=LINE, b=spaces.Box(-1, 1, (2,), np.dtype(">f4"))),
            ["Box observations of type >f4 in its part ['b']"],
            id="byte order",
        ),
    ],
)
@pytest.mark.parametrize("vector", [False, True])
def test_unsupported_observation_spaces_are_named_in_one_line(space, words, vector):
    env = Shaped(space, LINE)
    message = refusal(UnsupportedSpace, same_step(env) if vector else env)
    assert all(word in message for word in words), message
    assert "without" in message or all(word in message for word in ["supported are Box", "Discrete", "Dict"])


@pytest.mark.parametrize(
    ("space", "words"),
    [
        pytest.param(spaces.Dict(a=LINE), ["Dict actions", "one Box"], id="Dict"),
        pytest.param(spaces.Tuple([LINE, spaces.Discrete(2)]), ["Tuple actions"], id="Tuple"),
        pytest.param(spaces.Tuple([spaces.Discrete(3)]), ["Tuple actions", "MultiDiscrete space"], id="of choices"),
        pytest.param(spaces.Box(0, 5, (2,), np.int32), ["Box actions", "int32", "MultiDiscrete"], id="integer Box"),
        pytest.param(WIDE, ["Box actions", "int32"], id="integer Box, wide"),
        pytest.param(spaces.Box(-1, 1, (0,), np.float32), ["actions without any number"], id="empty"),
    ],
)
@pytest.mark.parametrize("vector", [False, True])
def test_unsupported_action_spaces_are_named_in_one_line(space, words, vector):
    env = Shaped(LINE, space)
    message = refusal(UnsupportedSpace, same_step(env) if vector else env)
    assert all(word in message for word in words), message
    assert "without" in message or all(word in message for word in ["supported are Discrete", "floating-point Box"])


class Box:
    """A space of the old gym package."""

    shape, dtype = (1,), np.dtype(np.float32)


Box.__module__ = "gym.spaces.box"


@pytest.mark.parametrize(
    ("env", "words"),
    [
        pytest.param(Shaped(Box(), LINE), "Shaped has observations in a gym.spaces.box.Box", id="observations"),
        pytest.param(Shaped(LINE, Box()), "Shaped has actions in a gym.spaces.box.Box", id="actions"),
        pytest.param(Shaped({"a": LINE}, LINE), "Shaped has observations in a dict, {'a': Box", id="a plain dict"),
    ],
)
def test_spaces_of_another_package_are_named(env, words):
    message = refusal(UnsupportedSpace, env)
    assert message.startswith(words)
    assert message.endswith("; take a space of gymnasium.spaces")


@pytest.mark.parametrize(
    "space",
    [
        pytest.param(spaces.Discrete(3, start=-1), id="Discrete"),
        pytest.param(spaces.Box(-1, 1, (2, 3), np.float64), id="Box, shape (2, 3)"),
        pytest.param(spaces.Box(0, 255, (128,), np.uint8), id="bytes of memory"),
    ],
)
def test_supported_observation_spaces(space):
    worlds = make(Shaped(space, spaces.Discrete(2)))
    assert (worlds.obs_space, worlds.env_obs_space) == (space, space)


@pytest.mark.parametrize("vector", [False, True])
def test_structured_observations_are_flattened_as_gymnasium_does(vector):
    space = spaces.Dict(a=spaces.Discrete(3), b=spaces.Tuple([LINE, spaces.MultiBinary(2)]))
    env = Shaped(space, spaces.Discrete(2))
    worlds = make(same_step(env, Shaped(space, spaces.Discrete(2))) if vector else env)
    assert worlds.env_obs_space == space
    assert worlds.obs_space.shape == (6,)
    rows, _ = worlds.reset()
    successors = worlds.step(np.zeros(len(rows), np.int64))[4]["next_obs"]
    for row in (*rows, *successors):
        assert row[:3].sum() == 1
        assert set(row[4:]) <= {0, 1}


def test_successors_of_structured_observations_are_true_ones():
    class Grown(Counter):
        def __init__(self):
            super().__init__(2)
            self.observation_space = spaces.Dict(count=LINE)

        def show(self):
            return {"count": super().show()}

    for worlds in (make(Grown, 2), make(same_step(Grown(), Grown()))):
        worlds.reset()
        steps = [worlds.step(np.zeros(2, np.int64)) for _ in range(3)]
        assert [step[0][:, 0].tolist() for step in steps] == [[1, 1], [100, 100], [101, 101]]
        assert [step[4]["next_obs"][:, 0].tolist() for step in steps] == [[1, 1], [2, 2], [101, 101]]
