"""Vector environments that a caller built: their buffers, their answers, and wrappers around them."""

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import VectorWrapper
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from agents import A2C
from agents.evaluation import evaluate
from agents.rollout import collect
from envs import EnvironmentFailure, make
from tests.toys import LINE, Float32Vector, Idle, ReusedBuffer, Shaped, same_step


def idle():
    return np.zeros(2, np.int64)


class Reusing(Float32Vector):
    """Truncates every second step, returns the same arrays from every step, and overwrites the actions."""

    def reset(self, *, seed=None, options=None):
        self.truncated = np.zeros(2, bool)
        return super().reset(seed=seed)

    def step(self, actions):
        obs, reward, terminated, _, _ = super().step(actions)
        actions[:] = 7
        self.truncated[:] = obs[0, 0] % 2 == 0
        infos = {"final_obs": [row.copy() for row in obs]} if self.truncated.any() else {}
        return obs, reward, terminated, self.truncated, infos


def test_a_rollout_keeps_what_a_vector_environment_overwrites():
    agent = A2C(Reusing(), n_steps=4, engine="torch")
    rollout, _, _ = collect(agent.worlds, agent, agent.worlds.reset()[0], 4, 0)
    assert rollout.truncated[:, 0].tolist() == [False, True, False, True]
    assert rollout.action.max() <= 1


class Answering(Reusing):
    """Returns what a function makes of a sound answer."""

    def __init__(self, change):
        self.change = change

    def step(self, actions):
        return self.change(*super().step(actions))


def test_a_vector_environment_may_return_lists():
    worlds = make(Answering(lambda *sound: (*(part.tolist() for part in sound[:4]), sound[4])))
    worlds.reset()
    first, second = worlds.step(idle()), worlds.step(idle())
    assert [one[3].tolist() for one in (first, second)] == [[False, False], [True, True]]
    assert (second[0].dtype, second[4]["next_obs"].tolist()) == (np.float32, [[2.0], [2.0]])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda *sound: sound[:4], "Answering returned .* from step, which must return"),
        (lambda *sound: (np.zeros((2, 3)), *sound[1:]), r"observation of shape \(2, 3\) and type float64; its space"),
        (lambda *sound: (np.zeros((2, 0), np.float32), *sound[1:]), r"observation of shape \(2, 0\) and type float32"),
        (lambda *sound: (*sound[:4], {}), "Answering gave no final_obs in its infos when an episode ended"),
        (lambda *sound: (*sound[:4], {"final_obs": np.zeros((2, 3))}), r"returned an observation of shape \(3,\)"),
        (lambda *sound: (*sound[:4], {"final_obs": [None] * 2}), r"returned an observation of shape \(\) and type obj"),
    ],
)
def test_a_vector_environment_that_breaks_its_contract_is_named(change, words):
    worlds = make(Answering(change))
    worlds.reset()
    with pytest.raises(EnvironmentFailure, match=words):
        worlds.step(idle()), worlds.step(idle())


def test_a_wrapped_vector_environment_of_reused_buffers_gives_true_successors():
    """The automatic reset overwrote the last observation of the episode."""
    worlds = make(RecordEpisodeStatistics(same_step(ReusedBuffer(2), ReusedBuffer(2))))
    worlds.reset()
    steps = [worlds.step(idle()) for _ in range(3)]
    assert [float(obs[0, 0]) for obs, *_ in steps] == [1, 100, 101]
    assert [float(infos["next_obs"][0, 0]) for *_, infos in steps] == [1, 2, 101]
    assert worlds.resume == "new episodes"  # the wrapper's counters are not restored


class Lengths(VectorWrapper):
    """Shows the lengths of texts."""

    single_observation_space, observation_space = LINE, batch_space(LINE, 2)

    def reset(self, *, seed=None, options=None):
        texts, infos = self.env.reset(seed=seed, options=options)
        return self.lengths(texts), infos

    def step(self, actions):
        texts, *others = self.env.step(actions)
        return self.lengths(texts), *others

    def lengths(self, texts):
        return np.array([[len(text)] for text in texts], np.float32)


def test_a_wrapper_may_turn_unsupported_observations_into_supported_ones():
    worlds = make(Lengths(same_step(*(Shaped(spaces.Text(5), spaces.Discrete(2)) for _ in range(2)))))
    assert (worlds.reset()[0] > 0).all()
    assert worlds.step(idle())[0].shape == (2, 1)


class Endless(Float32Vector):
    """Environment 1 ends each episode after 3 steps, environment 0 never. obeys: whether it resets only some."""

    def __init__(self, obeys):
        self.obeys, self.obs = obeys, np.zeros((2, 1), np.float32)

    def reset(self, *, seed=None, options=None):
        chosen = (options or {}).get("reset_mask", np.ones(2, bool)) if self.obeys else np.ones(2, bool)
        self.obs[chosen] = 0
        return self.obs, {}

    def step(self, actions):
        self.obs += 1
        ended, last = self.obs[:, 0] == [np.inf, 3], [*self.obs.copy()]
        self.obs[ended] = 0
        return self.obs, np.ones(2), ended, np.zeros(2, bool), {"final_obs": last}


def test_an_evaluation_that_cuts_episodes_off_needs_environments_that_can_be_reset_alone():
    """If the other environment is reset too, its episode is counted together with the next one."""
    evaluation = evaluate(Idle(), Endless(obeys=True), 4, max_steps=20)
    assert (evaluation.lengths.tolist(), evaluation.cut) == ([5, 3, 5, 3], 2)
    with pytest.raises(EnvironmentFailure, match=r"Endless reset environments that options\['reset_mask'\] leaves out"):
        evaluate(Idle(), Endless(obeys=False), 4, max_steps=20)


class Drifting(VectorWrapper):
    """Shows other observations at every reset."""

    shift = np.float32(0.0)

    def reset(self, *, seed=None, options=None):
        self.shift += np.float32(0.1)
        obs, infos = self.env.reset(seed=seed, options=options)
        return obs + self.shift, infos


def test_a_wrapper_may_change_the_observations_that_a_reset_leaves_out():
    worlds = make(Drifting(Endless(obeys=True)))
    worlds.reset()
    worlds.step(idle())
    obs, _ = worlds.reset(options={"reset_mask": np.array([True, False])})
    assert obs[0, 0] < 1 < obs[1, 0]
