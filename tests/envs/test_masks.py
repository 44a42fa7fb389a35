"""Forbidden actions are never taken, neither in training nor afterwards."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

import envs.probes
from agents import A2C
from agents.evaluation import UniformPolicy
from agents.rollout import collect
from envs import EnvironmentFailure, EnvironmentUsageError, UnsupportedSpace, make
from rl import evaluate
from tests.toys import LINE, Shaped, numbered

FORBIDDEN = f"{envs.probes.__name__}:ForbiddenAction-v0"  # raises on a forbidden action


class Masked(Shaped):
    """Any action space; the infos contain these masks in turn."""

    def __init__(self, action_space, masks):
        super().__init__(LINE, action_space)
        self.masks, self.calls = masks, 0

    def infos(self):
        mask = self.masks[self.calls % len(self.masks)]
        self.calls += 1
        return {} if mask is None else {"action_mask": mask}

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)[0], self.infos()

    def step(self, action):
        obs, *rest, _ = super().step(action)
        return obs, *rest, self.infos()


@pytest.mark.parametrize("settings", [{}, {"gru_size": 4}, {"n_steps": 4, "ent_coef": 0.01, "max_policy_shift": 1e-3}])
def test_forbidden_actions_are_never_taken(settings):
    agent = A2C(FORBIDDEN, num_envs=4, **settings).learn(2_000)
    assert agent.worlds.masked
    assert agent.engine_in_use == ("torch" if "gru_size" in settings else "fused")
    assert evaluate(agent, FORBIDDEN, 50, deterministic=False).mean == 1.0
    assert evaluate(agent, FORBIDDEN, 50).mean == 1.0
    assert evaluate(UniformPolicy(spaces.Discrete(3)), FORBIDDEN, 50).mean == 1.0


def test_masks_can_be_ignored():
    with pytest.raises(EnvironmentFailure, match="forbidden"):
        A2C(FORBIDDEN, num_envs=4, action_masks=False).learn(1_000)


def test_a_resumed_run_obeys_the_mask_that_it_left(tmp_path):
    whole = A2C(FORBIDDEN, num_envs=3).learn(300)
    A2C(FORBIDDEN, num_envs=3).learn(150).save(tmp_path / "half")
    resumed = A2C.load(tmp_path / "half")
    assert resumed.loop.exact
    resumed.learn(150)
    for ours, theirs in zip(resumed.policy.parameters(), whole.policy.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_function_whose_environments_give_masks_must_be_told_what_to_do_with_them():
    build = gym.envs.registration.registry["ForbiddenAction-v0"]
    with pytest.raises(EnvironmentUsageError, match="action_masks=True"):
        A2C(lambda: gym.make(build), num_envs=2).learn(10)
    assert A2C(lambda: gym.make(build), num_envs=2, action_masks=True).learn(10).loop.step == 10


def test_masks_of_several_parts_stand_side_by_side():
    masks = [np.array([1, 0, 0, 1, 1], np.int8), np.array([0, 1, 1, 0, 0], bool)]
    agent = A2C(lambda: Masked(spaces.MultiDiscrete([2, 3]), masks), num_envs=1, n_steps=40, action_masks=True)
    rollout, _, _ = collect(agent.worlds, agent, agent.worlds.reset()[0], 40, 0)
    first, second = rollout.action[::2, 0], rollout.action[1::2, 0]
    assert first[:, 0].tolist() == [0] * 20
    assert set(first[:, 1].tolist()) == {1, 2}
    assert second.tolist() == [[1, 0]] * 20
    metrics = agent.update(rollout)
    assert all(torch.isfinite(value).all() for value in metrics.values())


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        pytest.param([np.ones(3), None], "no action_mask", id="missing later"),
        pytest.param([np.ones(4)], r"shape \(4,\)", id="shape"),
        pytest.param([np.ones(3), np.zeros(3)], "allows no action", id="nothing allowed"),
        pytest.param([[np.ones(3), [1, 0]]], r"shape \(0,\)", id="ragged"),
        pytest.param([np.array(["True"] * 3)], "type <U4", id="text"),
    ],
)
def test_masks_that_cannot_be_obeyed(masks, words):
    sound = [np.ones(3)]
    build = numbered(lambda i: Masked(spaces.Discrete(3), masks if i == 1 else sound))
    with pytest.raises(EnvironmentFailure, match=rf"environment 1 \(.*\) gave .*{words}.* \(step \d of its episode"):
        A2C(build, num_envs=2, action_masks=True).learn(10)


def test_masks_are_for_choices():
    with pytest.raises(UnsupportedSpace, match="Box actions, which no mask can forbid"):
        make(lambda: Shaped(LINE, LINE), 1, action_masks=True)


@pytest.mark.parametrize(
    ("masks", "rows", "words"),
    [
        ([True], 1, r"have shape \(1,\) and type bool; 1 observations need \(1, 3\) and bool"),
        (True, 1, "have shape"),
        ([True, False, True, True], 1, "have shape"),
        ([[True, False], [True, True], [False, True]], 2, r"2 observations need \(2, 3\)"),
        ([False, False, False], 1, "allow no action"),
        ([[True, True, True], [False, False, False]], 2, "allow no action"),
        (["a", "b", "c"], 1, "type <U1"),
    ],
)
def test_masks_given_to_predict_must_fit(masks, rows, words):
    """One value was obeyed as the mask of every action, and without a legal action the first was taken."""
    agent = A2C(lambda: Shaped(LINE, spaces.Discrete(3)), num_envs=1, action_masks=False, engine="torch")
    with pytest.raises(ValueError, match=words):
        agent.predict(np.zeros((rows, 1), np.float32), action_masks=masks)
    assert agent.predict(np.zeros(1, np.float32), action_masks=[0, 1, 0])[0] == 1


def test_masks_given_to_predict_are_for_choices():
    agent = A2C("Pendulum-v1", num_envs=1, engine="torch")
    with pytest.raises(ValueError, match="action_masks are for Discrete and MultiDiscrete actions; these are Box"):
        agent.predict(np.zeros(3, np.float32), action_masks=[True])
    parts = A2C(lambda: Shaped(LINE, spaces.MultiDiscrete([2, 2])), num_envs=1, engine="torch")
    masks = [[False, True], [True, False]]  # a row for each choice
    assert parts.predict(np.zeros(1, np.float32), action_masks=masks)[0].tolist() == [1, 0]


def test_masks_that_only_steps_give_are_not_overlooked():
    agent = A2C(lambda: Masked(spaces.Discrete(2), [None, [1, 0]]), num_envs=1, engine="torch")
    with pytest.raises(EnvironmentUsageError, match="gives an action_mask in its infos: pass action_masks=True"):
        agent.learn(10)


FIRST, SECOND, THIRD = [1, 0, 0, 1, 1], [0, 1, 1, 0, 0], [1, 1, 1, 1, 0]


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(lambda mask: np.array(mask, np.int8), id="array"),
        pytest.param(list, id="list"),
        pytest.param(lambda mask: (np.array(mask[:2]), np.array(mask[2:])), id="a mask per choice"),
    ],
)
def test_a_reset_of_some_environments_leaves_the_masks_of_the_others(form):
    masks = [form(FIRST), form(SECOND), form(THIRD)]
    build = numbered(lambda i: Masked(spaces.MultiDiscrete([2, 3]), masks[i:] + masks[:i]))
    worlds = make(build, 2, action_masks=True)
    worlds.reset()
    worlds.reset(options={"reset_mask": np.array([False, True])})
    assert worlds.legal.astype(int).tolist() == [FIRST, THIRD]


def test_a_mask_that_is_missing_in_a_reset_of_some_environments_is_named():
    worlds = make(lambda: Masked(spaces.Discrete(2), [[1, 0], None]), 2, action_masks=True)
    worlds.reset()
    with pytest.raises(EnvironmentFailure, match=r"environment 1 \(.*\) gave no action_mask in its infos"):
        worlds.reset(options={"reset_mask": np.array([False, True])})
