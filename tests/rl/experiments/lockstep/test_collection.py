"""Our rollouts compared with Stable-Baselines3's, and deviations that must be detected."""

from collections.abc import Sequence
from importlib import import_module

import pytest

from agents.rollout import Array, Episode, Rollout, finished_episodes
from agents.rollout import collect as true_collect
from envs import Worlds
from envs.backends.base import Infos, StepResult
from envs.streams import Stream, stream_seeds
from rl.experiments.lockstep import collection
from rl.experiments.lockstep.collection import Difference
from rl.experiments.lockstep.combinations import LIMIT
from rl.experiments.lockstep.components import ROLLOUTS, STEPS, Rollouts, collect

true_step = Worlds.step


@pytest.mark.slow
@pytest.mark.parametrize("case", ROLLOUTS, ids=lambda case: "-".join(map(str, case)))
def test_ten_thousand_steps(case: Rollouts) -> None:
    env, limit, backend = case
    found = collect(case)
    assert found.steps == STEPS
    assert found.episodes == found.terminations + found.truncations > 20
    assert (found.terminations > 0) == (env != "Pendulum-v1")
    assert (found.truncations > 0) == (env != "CartPole-v1" or limit is not None)
    rounding = 1.2e-7 if backend == "native" else 0.0
    assert found.worst.transitions <= rounding
    assert found.worst.episodes < 5.01e-7  # Monitor rounds returns to six digits
    assert 0 < found.worst.estimates <= LIMIT


# --- deviations ---


def replayed(env: str = "Pendulum-v1", steps: int = 1000) -> Difference:
    """Pendulum-v1 truncates at step 800."""
    return collect((env, None, "sync"), steps).worst


def test_without_deviation() -> None:
    worst = replayed()
    assert worst.transitions == 0
    assert max(worst.episodes, worst.estimates) <= LIMIT


def test_bootstrapping_from_the_observation_after_the_reset_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(self: Worlds, actions: Array) -> StepResult:
        obs, reward, terminated, truncated, infos = true_step(self, actions)
        return obs, reward, terminated, truncated, infos | {"next_obs": obs}

    monkeypatch.setattr(Worlds, "step", step)
    worst = replayed()
    assert worst.successors > 0.1
    assert min(worst.bootstraps, worst.returns, worst.advantages) > 100 * LIMIT


def test_time_limits_taken_for_terminations_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(self: Worlds, actions: Array) -> StepResult:
        obs, reward, terminated, truncated, infos = true_step(self, actions)
        return obs, reward, terminated | truncated, truncated & False, infos

    monkeypatch.setattr(Worlds, "step", step)
    worst = replayed()
    assert worst.terminations == worst.truncations == 1
    assert min(worst.returns, worst.advantages) > 100 * LIMIT


def test_a_seed_off_by_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_off(seed: int, stream: Stream, count: int) -> list[int]:
        first, *others = stream_seeds(seed, stream, count)
        return [first + 1, *others]

    monkeypatch.setattr(import_module("envs.make"), "stream_seeds", one_off)
    worst = replayed()
    assert min(worst.observations, worst.successors, worst.rewards) > 0.1


def test_clipping_actions_before_they_are_stored_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def clipped(
        worlds: Worlds, actor: collection.Prescribed, obs: Array, n_steps: int, step: int
    ) -> tuple[Rollout, Array, list[Episode]]:
        rollout, obs, episodes = true_collect(worlds, actor, obs, n_steps, step)
        return rollout._replace(action=rollout.action.clamp(-2, 2)), obs, episodes

    monkeypatch.setattr(collection, "collect", clipped)
    worst = replayed()
    assert min(worst.actions, worst.log_probs) > 0.1
    assert max(worst.observations, worst.rewards, worst.successors) == 0  # clipped for the environment in both cases


def test_an_episode_counted_one_step_too_long_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def longer(infos: Infos, step: int) -> Sequence[Episode]:
        return [episode._replace(length=episode.length + 1) for episode in finished_episodes(infos, step)]

    monkeypatch.setattr("agents.rollout.finished_episodes", longer)
    assert replayed().episodes == 1
