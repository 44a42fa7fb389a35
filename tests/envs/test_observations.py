"""Observations with parts that violate their space: each is refused with the part's name."""

from functools import partial

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode

from agents import A2C
from envs import EnvironmentFailure, batched, make
from envs.observations import example
from tests.matrix import OBSERVATIONS
from tests.toys import Counter, Shaped, same_step

NAN = np.nan
LINE = spaces.Box(-1, 1, (2,), np.float32)
PLANE = spaces.Box(-1, 1, (2, 3), np.float64)
SPACE = spaces.Dict(
    bytes=spaces.Box(0, 255, (2,), np.uint8),
    grid=spaces.MultiDiscrete([3, 3]),
    kind=spaces.Discrete(3, start=1),
    pair=spaces.Tuple([LINE, spaces.MultiBinary(2)]),
    view=spaces.Box(0, 255, (3, 8, 8), np.uint8),
)
SOUND = {
    "bytes": np.array([0, 255], np.uint8),
    "grid": np.array([2, 1]),
    "kind": 3,
    "pair": (np.array([0.5, -0.5], np.float32), np.array([0, 1], np.int8)),
    "view": np.full((3, 8, 8), 9, np.uint8),
}
WRONG = [
    pytest.param({"grid": np.array([5, 0])}, r"\['grid'\] \[5, 0\]; its space is MultiDiscrete", id="no such choice"),
    pytest.param({"grid": [0, -1]}, r"\['grid'\] \[0, -1\]; its space is MultiDiscrete", id="negative choice"),
    pytest.param({"kind": 0}, r"\['kind'\] 0; its space is Discrete\(3, start=1\)", id="before the first"),
    pytest.param({"kind": 4}, r"\['kind'\] 4; its space is Discrete\(3, start=1\)", id="after the last"),
    pytest.param({"kind": 1.5}, r"\['kind'\] of shape \(\) and type float64", id="between choices"),
    pytest.param({"bytes": [1, 300]}, r"\['bytes'\] \[1, 300\]; its space is Box", id="no byte"),
    pytest.param({"bytes": [0.7, 1.0]}, r"\['bytes'\] of shape \(2,\) and type float64", id="cut"),
    pytest.param({"view": np.zeros((8, 8, 3), np.uint8)}, r"\['view'\] of shape \(8, 8, 3\)", id="transposed"),
    pytest.param(
        {"pair": (np.zeros(3, np.float32), np.zeros(1, np.int8))},
        r"\['pair'\]\[0\] of shape \(3,\)",
        id="3 + 1 for 2 + 2",
    ),
    pytest.param({"pair": (SOUND["pair"][0], np.array([0, 2]))}, r"\['pair'\]\[1\] \[0, 2\]", id="no bit"),
    pytest.param({"pair": (*SOUND["pair"], 1)}, r"\['pair'\] of 3 parts", id="too many parts"),
    pytest.param({"pair": SOUND["pair"][:1]}, r"\['pair'\] without its part \[1\]", id="too few parts"),
    pytest.param({"grid": None}, r"\['grid'\] of shape \(\) and type object", id="nothing"),
]


class Parts(Counter):
    """Returns a valid observation from reset and another one from step."""

    def __init__(self, later, space=SPACE, first=SOUND):
        super().__init__(3)
        self.observation_space, self.first, self.later = space, first, later

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.first, {}

    def step(self, action):
        _, reward, terminated, truncated, info = super().step(action)
        return self.later, reward, terminated, truncated, info


@pytest.mark.parametrize("vector", [False, True])
@pytest.mark.parametrize(("changed", "words"), WRONG)
def test_an_environment_is_blamed_by_the_part_that_is_wrong(changed, words, vector):
    env = partial(Parts, {**SOUND, **changed})
    worlds = make(same_step(env(), env())) if vector else make(env, 2)
    worlds.reset()
    with pytest.raises(EnvironmentFailure, match=rf"^environment 0 \(Parts\) returned an observation{words}.*step 1"):
        worlds.step(np.zeros(2, np.int64))


def test_a_missing_part_is_named():
    worlds = make(partial(Parts, {key: part for key, part in SOUND.items() if key != "kind"}), 1)
    worlds.reset()
    with pytest.raises(EnvironmentFailure, match=r"returned an observation without its part \['kind'\]; its space"):
        worlds.step(np.zeros(1, np.int64))


@pytest.mark.parametrize("vector", [False, True])
@pytest.mark.parametrize(
    ("space", "first", "later", "words"),
    [
        pytest.param(spaces.Discrete(4), 0, 4, "observation 4; its space is Discrete", id="Discrete"),
        pytest.param(spaces.Discrete(4), 0, np.array(-1), "observation -1; its space is Discrete", id="array"),
        pytest.param(
            spaces.Box(-9, 9, (2,), np.int8), np.zeros(2, np.int8), [1, 300], r"observation \[1, 300\]", id="int8"
        ),
    ],
)  # fmt: skip
def test_a_flat_observation_does_not_wrap_either(space, first, later, words, vector):
    env = partial(Parts, later, space, first)
    worlds = make(same_step(env())) if vector else make(env, 1)
    worlds.reset()
    with pytest.raises(EnvironmentFailure, match=f"returned an {words}"):
        worlds.step(np.zeros(1, np.int64))


@pytest.mark.parametrize(
    ("space", "sound", "broken", "words"),
    [
        (
            SPACE,
            SOUND,
            {**SOUND, "pair": (np.array([0, NAN], np.float32), SOUND["pair"][1])},
            r"nan at \['pair'\]\[0\]\[1\],",
        ),
        (PLANE, np.zeros((2, 3)), np.array([[0, 0, 0], [0, 0, -np.inf]]), r"-inf at \[1\]\[2\],"),
        (spaces.Box(-1, 1, ()), 0.0, NAN, "nan,"),
    ],
    ids=["Dict", "two dimensions", "one number"],
)
def test_a_number_that_is_not_finite_is_named_by_its_place(space, sound, broken, words):
    worlds = make(partial(Parts, broken, space, sound), 1)
    worlds.reset()
    with pytest.raises(EnvironmentFailure, match=f"returned a non-finite observation, {words} which was not used"):
        worlds.step(np.zeros(1, np.int64))


def test_an_asynchronous_vector_environment_is_named():
    build = partial(Parts, {**SOUND, "kind": 7})
    vector = AsyncVectorEnv([build, build], context="forkserver", autoreset_mode=AutoresetMode.SAME_STEP)
    worlds = make(vector)
    worlds.reset()
    with pytest.raises(EnvironmentFailure, match=r"returned an observation\['kind'\] \[7, 7\]; its space is Discrete"):
        worlds.step(np.zeros(2, np.int64))
    worlds.close()


@pytest.mark.parametrize(("changed", "words"), WRONG)
def test_predict_names_the_part_too(changed, words):
    agent = A2C(partial(Parts, SOUND), num_envs=1, features_dim=4)
    assert agent.predict(SOUND)[0].shape == ()
    with pytest.raises(ValueError, match=f"^observation{words}"):
        agent.predict({**SOUND, **changed})


@pytest.mark.parametrize(
    ("space", "observation", "words"),
    [
        (LINE, ["a", "b"], "observation of shape .* and type <U1; its space is Box"),
        (LINE, [None, None], "observation of shape .* and type object; its space is Box"),
        (LINE, [1j, 0.0], "observation of shape .* and type complex128; its space is Box"),
        (LINE, np.zeros((0, 2)), r"observation is an empty batch, of shape \(0, 2\)"),
        (SPACE, {name: np.zeros((0, 2)) for name in SOUND}, r"observation is an empty batch, of shape \(0, 2\)"),
    ],
)
def test_predict_refuses_what_no_network_takes(space, observation, words):
    """A complex number lost its imaginary part; the others raised errors of torch."""
    agent = A2C(partial(Shaped, space, spaces.Discrete(2)), num_envs=1, features_dim=4, engine="torch")
    with pytest.raises(ValueError, match=words):
        agent.predict(observation)


def test_a_batch_is_checked_part_by_part():
    batch = {
        "bytes": np.zeros((2, 2), np.uint8),
        "grid": np.array([[0, 2], [1, 1]]),
        "kind": np.array([1, 3]),
        "pair": (np.zeros((2, 2), np.float32), np.ones((2, 2), np.int8)),
        "view": np.zeros((2, 3, 8, 8), np.uint8),
    }
    rows, single = batched(SPACE, batch)
    assert (rows.shape, single) == ((2, 2 + 6 + 3 + 4 + 192), False)
    assert rows[:, 2:11].tolist() == [[1, 0, 0, 0, 0, 1, 1, 0, 0], [0, 1, 0, 0, 1, 0, 0, 0, 1]]
    with pytest.raises(ValueError, match=r"observation\['kind'\] \[1, 4\]; its space is Discrete"):
        batched(SPACE, {**batch, "kind": np.array([1, 4])})
    with pytest.raises(ValueError, match=r"observation\['kind'\] of shape \(3,\)"):
        batched(SPACE, {**batch, "kind": np.array([1, 1, 1])})


def test_numbers_of_another_type_are_taken_where_nothing_is_lost():
    grid, kind = np.array([1, 2], np.uint8), np.array([2])
    later = {**SOUND, "bytes": [1, 2], "grid": grid, "kind": kind, "pair": [[0, 1], [1, 0]]}
    worlds = make(partial(Parts, later), 1)
    worlds.reset()
    row = worlds.step(np.zeros(1, np.int64))[4]["next_obs"][0]
    assert row[:15].tolist() == [1, 2, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 1, 1, 0]


@pytest.mark.parametrize("space", [*OBSERVATIONS.values(), spaces.Box(2, 3, (2,)), spaces.Box(0, 1, (2,), bool)])
def test_an_example_is_in_its_space(space):
    assert space.contains(example(space))
