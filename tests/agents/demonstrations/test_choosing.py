"""Choosing among episodes of demonstrations, and holding some out."""

import numpy as np
import pytest

from agents.demonstrations import DemonstrationError, Demonstrations, record
from tests.agents.demonstrations.test_recording import same
from tests.toys import Idle, Numbered, numbered

pytestmark = pytest.mark.filterwarnings("ignore:.*share an object, therefore:UserWarning")  # in the probes


def five() -> Demonstrations:
    return record(Idle(), numbered(Numbered), 5)  # episode k has k + 1 steps and returns 100 k


def test_take_and_select() -> None:
    d = five()
    assert d.take(2).returns.tolist() == [0, 100]
    assert d.select([3, 1]).returns.tolist() == [300, 100]
    assert d.select([3, 1]).episodes == [(0, 4), (4, 6)]
    for episodes in (0, 6):
        with pytest.raises(DemonstrationError, match=f"asked for {episodes} episodes; the demonstrations have 5"):
            d.take(episodes)


@pytest.mark.parametrize(("fraction", "held"), [(0.01, 1), (0.2, 1), (0.5, 2), (0.6, 3), (0.99, 4)])
def test_split_holds_out_whole_episodes(fraction: float, held: int) -> None:
    d = five()
    train, held_out = d.split(fraction, seed=1)
    assert len(held_out.episodes) == held
    assert sorted([*train.returns, *held_out.returns]) == d.returns.tolist()
    assert same(train, d.split(fraction, seed=1)[0])
    assert len({tuple(d.split(0.2, seed)[1].returns) for seed in range(20)}) == 5


def test_one_episode_is_cut_in_two() -> None:
    d = five().select([4])
    train, held_out = d.split(0.3, seed=0)
    assert (train.transitions, held_out.transitions) == (3, 2)
    assert np.concatenate([train.obs, held_out.obs]).tolist() == d.obs.tolist()
    assert (train.truncated.tolist(), train.terminated.any()) == ([False, False, True], np.False_)
    assert held_out.episode_start.tolist() == [True, False]
    assert d.truncated.tolist() == [False] * 5
    assert d.episode_start.tolist() == [True] + [False] * 4


def test_what_cannot_be_split() -> None:
    with pytest.raises(DemonstrationError, match="a single transition cannot be split"):
        five().take(1).split(0.5)
    for fraction in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="fraction must lie between 0 and 1"):
            five().split(fraction)
