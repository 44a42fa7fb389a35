"""Studies: trials, their scores and ends, and searches that go on where they were."""

import math
from contextlib import closing
from pathlib import Path

import pytest

from agents.settings.values import ConfigError
from rl.experiments.search.space import parse
from rl.experiments.search.stopping import Stopping
from rl.experiments.search.study import Search
from tests.full_disk import full_disk
from tests.rl.experiments.test_search_space import SPACE, default_space


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    search = Search(tmp_path, SPACE, {"env": "x"})
    with full_disk(), pytest.raises(OSError, match=f"'{tmp_path / 'study.log'}'"):
        search.ask()
    search.close()


def test_an_incomplete_last_line_does_not_lose_the_search(tmp_path: Path) -> None:
    for trials in range(3):
        with closing(Search(tmp_path, SPACE, {})) as search:
            assert len(search.ended()) == trials
            search.take_score(candidate := search.ask(), 1.0)
            search.finish(candidate)
        with (tmp_path / "study.log").open("ab") as file:
            file.write(b'{"op_code":4,"wor')


def test_a_search_goes_on(tmp_path: Path) -> None:
    first = Search(tmp_path, SPACE, {"env": "x"})
    first.queue({"gamma": 0.95, "n_steps": "4"})
    proposed, drawn, lost = first.ask(), first.ask(), first.ask()
    assert proposed.settings == {"gamma": 0.95, "n_steps": 4}
    assert first.take_score(proposed, 1.0)
    assert first.take_score(proposed, 4.0)
    assert first.finish(proposed).score == 2.5
    assert first.give_up(lost, "a reason").end == "failed"
    with pytest.raises(ConfigError, match="another process is training in"):
        Search(tmp_path, SPACE, {"env": "x"})
    first.close()
    (tmp_path / "study.log.lock").symlink_to(tmp_path / "study.log")  # left by a killed process

    again = Search(tmp_path, SPACE, {"env": "x"})
    again.queue({"gamma": 0.95, "n_steps": "4"})  # not queued twice
    again.retry_interrupted()
    taken_up = again.ask()
    assert (taken_up.settings, taken_up.folder) == (drawn.settings, drawn.folder)
    assert again.ask().settings not in (proposed.settings, drawn.settings)
    assert [(trial.number, trial.end, trial.scores, trial.reason) for trial in again.ended()] == [
        (0, "finished", [1.0, 4.0], ""), (2, "failed", [], "a reason"),
    ]  # fmt: skip
    best = again.best()
    assert best is not None
    assert (best.number, best.settings) == (0, {"gamma": 0.95, "n_steps": 4})
    again.close()


def test_a_search_of_something_else_does_not_go_on(tmp_path: Path) -> None:
    search = Search(tmp_path, SPACE, {"env": "x"})
    search.take_score(candidate := search.ask(), 1.0)
    search.finish(candidate)
    search.close()
    for space, about, words in (
        (SPACE, {"env": "y"}, "its env is x, now y"),
        ({**SPACE, "gamma": parse("uniform(0.8, 1)", float)}, {"env": "x"}, r"uniform\(0.9, 1.0\), now uniform\(0.8"),
        (SPACE, {"env": "x", "more": 1}, "its more is not there, now 1"),
    ):
        with pytest.raises(ConfigError, match=words):
            Search(tmp_path, space, about)
    newer = {"env": "x", "limit": None}  # a setting added after the search began
    with pytest.raises(ConfigError, match="its limit is not there, now null"):
        Search(tmp_path, SPACE, newer)
    with pytest.raises(ConfigError, match="its limit is null, now 3"):
        Search(tmp_path, SPACE, {**newer, "limit": 3}, {"limit": None})
    Search(tmp_path, SPACE, newer, {"limit": None}).close()
    (tmp_path / "study.log").write_text("{}\nbroken\n")
    with pytest.raises(ConfigError, match=r"study\.log cannot be read"):
        Search(tmp_path, SPACE, {"env": "x"})


def test_the_same_search_draws_the_same(tmp_path: Path) -> None:
    drawn = []
    for name in ("a", "b"):
        search = Search(tmp_path / name, default_space(), {})
        for score in range(14):  # ten of them at random, the others by TPE
            candidate = search.ask()
            search.take_score(candidate, math.sin(score))
            search.finish(candidate)
        drawn.append([trial.settings for trial in search.ended()])
        shares = search.importances()
        assert sum(shares.values()) == pytest.approx(1)
        assert {name.split()[0] for name in shares} <= default_space().keys()
        search.close()
    assert drawn[0] == drawn[1]
    assert len({str(settings) for settings in drawn[0]}) == 14


def test_a_good_first_seed_does_not_carry_a_trial_through(tmp_path: Path) -> None:
    search = Search(tmp_path, SPACE, {})
    for k in range(8):
        finished = search.ask()
        assert all(search.take_score(finished, 100.0 + k) for _ in range(3))
        search.finish(finished)
    trial = search.ask()
    assert search.take_score(trial, 150.0)
    assert not search.take_score(trial, -500.0)  # the mean is −175, the median 103.5
    search.close()


def test_below_the_median_is_not_worth_another_seed(tmp_path: Path) -> None:
    search = Search(tmp_path, SPACE, {})
    for score in range(8):
        candidate = search.ask()
        assert search.take_score(candidate, float(score)), "the first eight all go on"
        search.finish(candidate)
    worse, better = search.ask(), search.ask()
    assert not search.take_score(worse, 3.0)  # the median is 3.5
    assert search.give_up(worse).end == "stopped"
    assert search.take_score(better, 4.0)
    search.close()


def test_halving_trains_all_seeds_to_a_rung_and_keeps_the_best_third(tmp_path: Path) -> None:
    stopping = Stopping("halving", (100, 101), 900)
    rungs = [(seed, pause) for pause in (100, 300, None) for seed in (100, 101)]
    assert [tuple(leg) for leg in stopping.legs] == rungs
    search = Search(tmp_path, SPACE, {}, stopping=stopping)
    ends = []
    for score in (1.0, 2.0, 3.0, 2.5, 0.0, 4.0):
        candidate = search.ask()
        for leg in range(len(rungs)):
            worth = search.take_score(candidate, score + 10 * (leg // 2) + leg % 2)
            assert worth or leg % 2, "both seeds count"
            if not worth:
                break
        ends.append(search.give_up(candidate) if not worth else search.finish(candidate))
    assert [(tried.end, tried.scores) for tried in ends] == [
        ("finished", [21.0, 22.0]), ("finished", [22.0, 23.0]), ("finished", [23.0, 24.0]), ("stopped", [2.5, 3.5]),
        ("stopped", [0.0, 1.0]), ("finished", [24.0, 25.0]),
    ]  # fmt: skip
    half = search.ask()
    for score in (5.0, 6.0, 15.0):
        assert search.take_score(half, score)
    search.close()
    with pytest.raises(ConfigError, match="its pruner is halving, now median"):
        Search(tmp_path, SPACE, {})
    again = Search(tmp_path, SPACE, {}, stopping=stopping)
    again.retry_interrupted()
    assert again.ask().scores == [5.0, 6.0, 15.0], "the fourth leg is next"
    again.close()


def test_random_draws_do_not_depend_on_scores(tmp_path: Path) -> None:
    drawn = []
    for sign in (1.0, -1.0):
        search = Search(tmp_path / str(sign), SPACE, {}, sampler="random")
        for score in range(12):
            candidate = search.ask()
            search.take_score(candidate, sign * score)
            search.finish(candidate)
        drawn.append([trial.settings for trial in search.ended()])
        search.close()
    assert drawn[0] == drawn[1]


def test_tried_before_and_killed_twice(tmp_path: Path) -> None:
    search = Search(tmp_path, {"n_steps": parse("one_of(1, 2)", int)}, {})
    first = search.ask()
    search.take_score(first, 5.0)
    search.finish(first)
    settings = first.settings
    while (other := search.ask()).settings != settings:
        assert search.end_like_twin(other) is None
        assert search.retry_lost(other) is None, "another process tries again"
        again = search.ask()
        assert again.settings == other.settings
        failed = search.retry_lost(again)
        assert failed is not None
        assert "was killed, twice" in failed.reason
        assert (same := search.end_like_twin(search.ask())) is None or same.end in ("finished", "failed")
    twin = search.end_like_twin(other)
    assert twin is not None
    assert (twin.end, twin.score) == ("finished", 5.0)
    search.close()
