"""`MujocoBackend`: the same numbers as Gymnasium's environments, whatever the number of threads."""

import os
from functools import partial

import gymnasium as gym
import numpy as np
import pytest

from agents import A2C
from envs import EnvironmentFailure, EnvironmentUsageError, Variant, make
from envs.backends.mujoco_tasks import TASKS

ENVS = 3
IDS = [f"{name}-v5" for name in ("HalfCheetah", "Walker2d", "Hopper", "Swimmer", "Ant", "Humanoid")]
SHORT = Variant(max_episode_steps=40)


def same(ours, theirs):
    """Asserts equal keys, types and bits."""
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            same(ours[key], value)
    elif isinstance(theirs, list | tuple) or (isinstance(theirs, np.ndarray) and theirs.dtype == object):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            same(one, other)
    elif theirs is None or isinstance(theirs, str):
        assert ours == theirs
    else:
        assert np.asarray(ours).dtype == np.asarray(theirs).dtype
        np.testing.assert_array_equal(ours, theirs)


def pair(env, variant=SHORT, seed=3):
    return tuple(make(env, ENVS, seed, variant=variant, backend=backend) for backend in ("auto", "sync"))


def actions(worlds, steps):
    rng = np.random.default_rng(0)
    return rng.normal(size=(steps, ENVS, *worlds.single_action_space.shape)).astype(np.float32)


@pytest.mark.parametrize(("hidden", "threads"), [(True, "1"), (False, "2")])
@pytest.mark.parametrize("env", IDS)
def test_rows_and_states_are_those_of_environments_stepped_in_turn(env, hidden, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    variant = SHORT._replace(env_kwargs={"exclude_current_positions_from_observation": hidden})
    ours, theirs = pair(env, variant)
    assert (ours.backend, theirs.backend) == ("mujoco", "sync")
    same(ours.reset(), theirs.reset())
    ended = 0
    for given in actions(ours, 60):
        row, rows = ours.step(given), theirs.step(given)
        same(row[:4], rows[:4])
        same(dict(row[4]), dict(rows[4]))
        ended += rows[2].sum() + rows[3].sum()
    assert ended > 0
    same(ours.state_dict(), theirs.state_dict())
    mask = np.arange(ENVS) == 1
    same(*(worlds.reset(options={"reset_mask": mask})[0] for worlds in (ours, theirs)))
    same(*(worlds.step(given)[:4] for worlds in (ours, theirs)))
    ours.close()


@pytest.mark.parametrize(
    ("env", "kwargs"),
    [
        ("HalfCheetah-v5", {"forward_reward_weight": 2.0, "ctrl_cost_weight": 0.3, "frame_skip": 2}),
        ("Hopper-v5", {"terminate_when_unhealthy": False, "healthy_reward": 0.5, "healthy_state_range": (-1.0, 1.0)}),
        ("Ant-v5", {"contact_force_range": (-0.1, 0.2), "main_body": 2, "include_cfrc_ext_in_observation": False}),
        ("Humanoid-v5", {"contact_cost_weight": 1.0, "include_cvel_in_observation": False}),
    ],
)
def test_arguments_of_the_environment_count(env, kwargs):
    ours, theirs = pair(env, SHORT._replace(env_kwargs=kwargs))
    assert ours.backend == "mujoco"
    same(ours.reset(), theirs.reset())
    for given in actions(ours, 60):
        same(ours.step(given)[:4], theirs.step(given)[:4])


def test_an_attribute_that_is_set_counts():
    ours, theirs = pair("HalfCheetah-v5")
    same(ours.reset(), theirs.reset())
    given = actions(ours, 3)
    same(ours.step(given[0])[:4], theirs.step(given[0])[:4])
    for worlds in (ours, theirs):
        worlds.env.set_attr("_ctrl_cost_weight", [0.1, 1.0, 10.0])
    for row in given[1:]:
        same(ours.step(row)[:4], theirs.step(row)[:4])


def test_a_run_goes_on_on_another_backend():
    ours, theirs = pair("Hopper-v5")
    third = make("Hopper-v5", ENVS, 9, variant=SHORT)
    ours.reset()
    given = actions(ours, 130)
    for row in given[:57]:
        ours.step(row)
    assert ours.resume == "replay"
    assert theirs.load_state_dict(ours.state_dict())
    assert third.load_state_dict(theirs.state_dict())
    for row in given[57:]:
        rows = ours.step(row)
        same(theirs.step(row)[:4], rows[:4])
        same(third.step(row)[:4], rows[:4])


def test_training_does_not_depend_on_the_backend():
    settings = {"num_envs": 2, "n_steps": 4, "seed": 1}
    ours, theirs = (A2C("Swimmer-v5", backend=backend, **settings).learn(400) for backend in ("auto", "sync"))
    assert (ours.worlds.backend, theirs.worlds.backend) == ("mujoco", "sync")
    for one, other in zip(ours.policy.parameters(), theirs.policy.parameters(), strict=True):
        np.testing.assert_array_equal(one.detach(), other.detach())


class Other(gym.Wrapper):
    pass


@pytest.mark.parametrize(
    ("env", "count", "variant"),
    [
        ("InvertedPendulum-v5", 2, Variant()),
        ("Hopper-v5", 2, Variant(wrappers=("TimeAwareObservation",))),
        ("Hopper-v5", 2, Variant(frame_stack=2)),
        (partial(gym.make, "Hopper-v5"), 2, Variant()),
        ("Hopper-v5", 1, Variant()),
    ],
)
def test_other_environments_are_stepped_in_turn(env, count, variant):
    assert make(env, count, variant=variant).backend == "sync"
    with pytest.raises(EnvironmentUsageError, match=r"simulates two or more of HalfCheetah, .*, not \d of (Inv|Hop)"):
        make(env, count, variant=variant, backend="mujoco")


def test_a_changed_registration_is_stepped_in_turn(monkeypatch):
    spec = gym.spec("Hopper-v5")
    monkeypatch.setitem(gym.registry, "Hopper-v5", gym.envs.registration.EnvSpec("Hopper-v5", spec.entry_point))
    assert make("Hopper-v5", 2).backend == "mujoco"  # without a time limit
    assert not make("Hopper-v5", 2).has_time_limit
    monkeypatch.setitem(
        gym.registry, "Hopper-v5", gym.envs.registration.EnvSpec("Hopper-v5", "tests.envs.test_mujoco:own_hopper")
    )
    assert make("Hopper-v5", 2).backend == "sync"


def own_hopper(**kwargs):
    from gymnasium.envs.mujoco.hopper_v5 import HopperEnv

    return Other(HopperEnv(**kwargs))


def test_a_step_before_the_first_reset_is_refused():
    with pytest.raises(EnvironmentFailure, match=r"environment 0 \(Hopper-v5\).*reset"):
        make("Hopper-v5", 2).step(np.zeros((2, 3), np.float32))


def test_an_error_of_the_simulation_names_its_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    worlds = make("Hopper-v5", 2)
    worlds.reset()
    share = worlds.env._shares[1]

    def broken(*_, **__):
        raise RuntimeError("engine error")

    share._step = broken
    with pytest.raises(EnvironmentFailure, match=r"environment 1 \(Hopper-v5\) raised RuntimeError in step: engine"):
        worlds.step(np.zeros((2, 3), np.float32))
    assert worlds.state_dict()["snapshots"] is None  # the simulations are no longer those of an episode
    worlds.reset()
    share._step = worlds.env._shares[0]._step
    worlds.step(np.zeros((2, 3), np.float32))


@pytest.mark.parametrize(("text", "count"), [("1", 1), ("2", 2), ("99", ENVS), ("many", None), ("", None)])
def test_the_number_of_threads(text, count, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    worlds = make("Swimmer-v5", ENVS)
    assert len(worlds.env._shares) == (count or min(ENVS, len(os.sched_getaffinity(0))))
    worlds.close()


def test_every_task_is_registered():
    assert {gym.spec(env).entry_point for env in IDS} == set(TASKS)
