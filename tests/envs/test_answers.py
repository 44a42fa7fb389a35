"""Answers of environments: which forms are taken, which are refused, and which environment is blamed."""

from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch

from envs import EnvironmentFailure, make
from envs.streams import stream_seeds
from tests.toys import Counter, Float32Vector, numbered, same_step


class Answering(Counter):
    """Returns given answers: to `reset`, or a valid answer to `step` with these parts replaced."""

    def __init__(self, reset=None, **replaced):
        super().__init__()
        self.answer, self.replaced = reset, replaced

    def reset(self, *, seed=None, options=None):
        sound = super().reset(seed=seed)
        return sound if self.answer is None else self.answer(*sound)

    def step(self, action):
        names = ("obs", "reward", "terminated", "truncated", "info", "answer")
        parts = dict(zip(names, super().step(action), strict=False)) | self.replaced
        return parts["answer"] if "answer" in parts else tuple(parts[name] for name in names[:5])


RESET, STEP = (
    r"from reset, which must return \(observation, info\)",
    r"from step, which must return \(observation, reward",
)


@pytest.mark.parametrize("backend", ["sync", "async", "vector"])
@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"reset": lambda obs, info: obs}, rf"returned array\(\[0\.\], dtype=float32\) {RESET}"),
        ({"reset": lambda obs, info: np.zeros(2)}, RESET),
        ({"reset": lambda obs, info: (obs, None)}, RESET),
        ({"reset": lambda obs, info: None}, f"returned None {RESET}"),
        ({"answer": (np.zeros(1), 1.0, False, {})}, STEP),
        ({"answer": None}, f"returned None {STEP}"),
        ({"reward": "1.5"}, "returned the reward '1.5', which must be a number"),
        ({"reward": np.array("1.5")}, "returned the reward .*'1.5'.*, which must be a number"),
        ({"reward": None}, "returned the reward None, which must be a number"),
        ({"reward": np.ones(2)}, r"returned the reward .*, which must be a number; a wrapper can .* wrappers=\[module"),
        ({"reward": 10**400}, r"returned the reward 1000\d+ …, which must be a number"),
        ({"terminated": "False"}, "returned the terminated 'False', which must be True or False"),
        ({"truncated": None}, "returned the truncated None, which must be True or False"),
        ({"terminated": {"__all__": True}}, "which must be True or False"),
        ({"info": None}, "returned the info None, which must be a dict"),
        ({"obs": [[1.0], [2.0, 3.0]]}, r"returned an observation \[\[1.0\], \[2.0, 3.0\]\]; its space is Box"),
    ],
)
def test_an_answer_of_another_form_is_blamed_on_its_environment(told, words, backend):
    build = numbered(lambda i: Answering(**(told if i else {})))
    if backend == "vector":
        worlds = make(same_step(build(), build()), seed=3)
    else:
        worlds = make(partial(Answering, **told) if backend == "async" else build, 2, 3, backend=backend)
    i = 0 if backend == "async" else 1
    where = rf"\(step {int('reset' not in told)} of its episode, seed {stream_seeds(3, 'environments', 2)[i]}\)$"
    with pytest.raises(EnvironmentFailure, match=rf"^environment {i} \(Answering\) .*{words}.* {where}"):
        worlds.reset(), worlds.step(np.zeros(2, np.int64))
    worlds.close()


@pytest.mark.parametrize("reward", [1, True, np.float32(1), np.ones(1), np.array(1), torch.ones(1), Fraction(1)])
@pytest.mark.parametrize("ended", [np.bool_(True), 1, 1.0, np.ones(1, bool), torch.tensor(True)])
def test_numbers_and_flags_of_every_library_are_taken(reward, ended):
    worlds = make(Answering(reward=reward, terminated=ended))
    worlds.reset()
    _, rewards, terminated, truncated, _ = worlds.step(np.zeros(1, np.int64))
    assert (rewards.tolist(), terminated.tolist(), truncated.tolist()) == ([1.0], [True], [False])


class Vectored(Float32Vector):
    def __init__(self, **parts):
        self.parts = parts

    def step(self, actions):
        names = ("obs", "reward", "terminated", "truncated", "info")
        return tuple((dict(zip(names, super().step(actions), strict=True)) | self.parts).values())


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"reward": np.array(["1.5", "2"])}, r"Vectored returned rewards of shape \(2,\) and type <U3"),
        ({"reward": np.ones((2, 3))}, r"rewards of shape \(2, 3\) .*; a wrapper can make a number of a vector"),
        ({"terminated": np.array(["False", ""])}, r"Vectored returned terminated of shape \(2,\) and type <U5"),
        ({"truncated": [None, None]}, r"Vectored returned truncated of shape \(2,\) and type object"),
    ],
)
def test_a_vector_environment_that_returns_anything_but_a_number_each_is_refused(parts, words):
    worlds = make(Vectored(**parts))
    worlds.reset()
    with pytest.raises(EnvironmentFailure, match=words):
        worlds.step(np.zeros(2, np.int64))
