"""`python -m rl.sweep`: searches that train, and searches with simulated runs."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest

import rl.experiments.search.trials
import rl.index
import rl.sweep
from agents import A2C
from agents.settings.run import RunSettings, chosen_settings, settings_for
from agents.settings.schema import setting_types
from rl.experiments.executors.base import RunInterrupted, WorkerLost
from rl.experiments.executors.workplace import Workplace
from rl.experiments.parallel import Line, Train
from rl.experiments.search.study import Candidate, Search, Tried
from rl.run.results import Result
from rl.run.signals import INTERRUPTED
from rl.run.terminal import FAILED, RunFailed
from tests.conftest import Command

INVALID = "target_policy_shift must stay below max_policy_shift 0.001, got 0.001"
Score = Callable[[Line, int], float]  # of a line and a seed; raises like a failing run


def make_up(monkeypatch: pytest.MonkeyPatch, score: Score) -> None:
    """Replaces the training processes."""

    def train(env_id: str, line: Line, seed: int, out: Path) -> "Future[Result]":
        out.mkdir(parents=True, exist_ok=True)
        future: Future[Result] = Future()
        try:
            future.set_result(Result(out, {"eval_mean": score(line, seed)}))
        except RunFailed as failure:
            future.set_exception(failure)
        return future

    @contextmanager
    def training(where: Workplace) -> Iterator[Train]:
        yield train

    monkeypatch.setattr(rl.experiments.search.trials, "training", training)


def written(tmp_path: Path) -> list[Tried]:
    """The trials in search.json."""
    content = json.loads((tmp_path / "results/CartPole-v1/search.json").read_text())
    return [Tried(**{name: trial[name] for name in Tried._fields}) for trial in content["trials"]]


def ends(tmp_path: Path) -> list[tuple[str, int, str]]:
    return [(trial.end, len(trial.scores), trial.reason) for trial in written(tmp_path)]


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_a_search_that_trains(
    sweep: Command, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recipe = tmp_path / "configs" / "found.yaml"
    recipe.parent.mkdir()
    recipe.write_text("gamma: 0.5\nstream: {trace_decay: 0.8}\n")
    arguments = ["--seeds", "100", "--total-timesteps", "2000", "--set", "eval_episodes=2", "--jobs", "1"]
    arguments += ["--pruner", "halving"]
    arguments += ["--try", "gamma=0.95", "--try", "target_policy_shift=1e-3", "max_policy_shift=1e-3"]
    arguments += ["--write", str(recipe)]
    status, before, _ = sweep(*arguments, "--trials", "2")
    assert status == 0
    assert ends(tmp_path) == [("finished", 1, ""), ("failed", 0, INVALID)]
    make_up(monkeypatch, lambda line, seed: -1.0)  # from here on, to save time
    status, out, _ = sweep(*arguments, "--trials", "3")
    assert status == 0
    assert [end[:2] for end in ends(tmp_path)[:2]] == [("finished", 1), ("failed", 0)], "not tried again"
    assert len(ends(tmp_path)) == 3
    out = before + out
    assert out.count("trial   0  finished") == 1
    assert f"trial   1  failed ({INVALID})" in out
    table = (tmp_path / "results/CartPole-v1/search.md").read_text()
    assert table in out
    assert f"- trial 1: {INVALID}" in table
    assert "`total_timesteps: 2000`, `checkpoint_interval: 2000`, `eval_episodes: 2`" in table
    assert {path.suffix for path in (tmp_path / "results/CartPole-v1").iterdir()} == {".json", ".md", ".pdf", ".png"}
    assert "![scores of the trials](search.png)" in table
    assert {path.name for path in (tmp_path / "runs/CartPole-v1/sweep-search").iterdir()} == {".lock", "study.log"}

    assert recipe.read_text().startswith("# Found by `python -m rl.sweep CartPole-v1 --seeds 100")
    settings = chosen_settings(setting_types(A2C, RunSettings), "CartPole-v1", "a2c", recipe)
    assert settings["total_timesteps"] == 2000
    assert settings["gamma"] == 0.95
    assert "eval_episodes" not in settings
    assert settings_for("stream", recipe) == {"trace_decay": 0.8}, "sections of other agents are kept"

    _, _, err = command(rl.index, "--results", tmp_path / "results")
    assert "holds no comparison yet" in err, "a search is no comparison"


def test_trials_that_stop_fail_and_lose_their_process(
    sweep: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs: list[tuple[str, int]] = []

    def score(line: Line, seed: int) -> float:
        runs.append((line.label, seed))
        if len(runs) in (3, 4):
            raise WorkerLost("killed")
        if line.settings["target_policy_shift"] is not None:
            raise RunFailed("the gradient is not finite (step 7; kept a checkpoint at step 7; traceback in somewhere)")
        gamma = line.settings["gamma"]
        assert isinstance(gamma, float)
        return -gamma

    make_up(monkeypatch, score)
    status, out, _ = sweep("--trials", "24", "--jobs", "3")
    assert status == 0
    tried = ends(tmp_path)
    assert len(tried) == 24
    assert {end for end in tried if end[0] == "failed"} == {
        ("failed", 0, "the gradient is not finite"),
        ("failed", 0, INVALID),
    }
    assert {end for end in tried if end[0] != "failed"} == {("finished", 2, ""), ("stopped", 1, "")}
    assert max(runs.count(run) for run in runs) == 1, "trials whose process was killed have new numbers"
    best = min(float(str(trial.settings["gamma"])) for trial in written(tmp_path) if trial.end == "finished")
    assert f"best {-best:.5g}" in out.splitlines()[23]
    assert best < 0.93
    assert "| `gamma` |" in (tmp_path / "results/CartPole-v1/search.md").read_text()
    assert not list((tmp_path / "runs/CartPole-v1/sweep-search").glob("trial-*"))


def test_interrupted_and_nothing_found(sweep: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(line: Line, seed: int) -> float:
        raise RunInterrupted("it was interrupted")

    def failing(line: Line, seed: int) -> float:
        raise RunFailed("out of luck")

    make_up(monkeypatch, interrupted)
    status, out, _ = sweep("--trials", "4", "--try", "gamma=0.95")
    assert status == INTERRUPTED
    assert "interrupted after 0 of 4 trials; resume with: python -m rl.sweep CartPole-v1" in out
    assert not (tmp_path / "results").exists()
    make_up(monkeypatch, failing)
    status, out, err = sweep("--trials", "4", "--try", "gamma=0.95")
    assert status == FAILED
    assert "gamma=0.95" in out.splitlines()[0], "what was under way comes first"
    assert out.count("gamma=0.95 ") + out.count("gamma=0.95\n") == 1
    assert "none of 4 trials finished; the last: " in err


def test_killed_between_the_last_score_and_the_end(
    sweep: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def killed(search: Search, candidate: Candidate) -> Tried:
        raise KeyboardInterrupt

    make_up(monkeypatch, lambda line, seed: float(seed))
    with monkeypatch.context() as patch:
        patch.setattr(Search, "finish", killed)
        assert sweep("--trials", "1")[0] == INTERRUPTED
    assert sweep("--trials", "1")[0] == 0
    assert [end[0] for end in ends(tmp_path)] == ["finished"]
    assert not list((tmp_path / "runs/CartPole-v1/sweep-search").glob("trial-*"))


def test_another_agent_is_searched_into_its_section(
    sweep: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Line] = []

    def score(line: Line, seed: int) -> float:
        seen.append(line)
        return float(str(line.settings["clip_range"]))

    make_up(monkeypatch, score)
    recipe, space = tmp_path / "recipe.yaml", tmp_path / "ppo.yaml"
    recipe.write_text("# What A2C takes\ngamma: 0.5\nppo: {n_epochs: 3}\nstream: {trace_decay: 0.8}\n")
    space.write_text("clip_range: uniform(0.1, 0.4)\nn_epochs: one_of(2, 4)\n")
    arguments = ["--agent", "ppo", "--space", str(space), "--seeds", "100", "--total-timesteps", "4096"]
    assert sweep(*arguments, "--trials", "3", "--try", "clip_range=0.35", "n_epochs=4", "--write", recipe)[0] == 0
    assert {line.agent for line in seen} == {"ppo"}
    assert {line.settings["n_steps"] for line in seen} == {2048}, "PPO's default"
    assert settings_for("a2c", recipe) == {"gamma": 0.5}
    assert settings_for("stream", recipe) == {"trace_decay": 0.8}
    best = max(seen, key=lambda line: float(str(line.settings["clip_range"])))
    found = settings_for("ppo", recipe)
    assert found["total_timesteps"] == 4096
    assert found["clip_range"] == best.settings["clip_range"]
    assert recipe.read_text().startswith("# What A2C takes; ppo: Found by `python -m rl.sweep CartPole-v1 --agent ppo")
