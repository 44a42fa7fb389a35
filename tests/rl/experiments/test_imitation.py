"""`python -m rl.imitation`: experts, their demonstrations, lines that learn from them, tables and figures."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

import rl.imitation
from agents.demonstrations import load
from agents.writing import write_text
from rl.experiments.executors.workplace import Workplace
from rl.experiments.imitation.experiments import EPISODES, EPISODES_SEED, EXPERIMENTS, EXPERT_SEED, EXPERTS, Experiment
from rl.experiments.imitation.outcomes import Expert, Outcome, Report, against_expert, bounds, ratio
from rl.experiments.imitation.page import page
from rl.experiments.imitation.training import FILE, _expert_line, _line, train_experts
from rl.experiments.parallel import Line
from rl.run.results import Result
from rl.run.terminal import RunFailed
from tests.conftest import Command
from tests.rl.experiments.suites import result, rows

LINES = [("cloning", 0), ("gail", 0), ("distillation", 0), ("distillation", 5), ("mutual", 0), ("mutual", 1)]


def only(experiment: Experiment, *arms: int) -> Experiment:
    """The experiment in CartPole-v1 with some of its lines."""
    chosen = [experiment.lines("CartPole-v1")[k] for k in arms]
    return experiment._replace(
        envs=("CartPole-v1",), lines=lambda env_id: chosen, judged=[chosen[0].label] if experiment.judged else []
    )


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_the_command(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small = {
        name: only(each, *(k for of, k in LINES if of == name)) for name, each in EXPERIMENTS.items()
    }  # fmt: skip
    monkeypatch.setattr(rl.imitation, "EXPERIMENTS", small)
    arguments = [
        "--seeds",
        "0-1",
        "--set",
        "total_timesteps=6400",
        "--set",
        "eval_episodes=4",
        "--set",
        "log_interval=5",
    ]
    arguments += ["--out", str(tmp_path / "runs"), "--results", str(tmp_path)]
    status, out, _ = command(rl.imitation, *arguments)
    directory = tmp_path / "imitation"
    assert status == 0
    for name in EXPERIMENTS:
        assert (directory / f"{name}.md").read_text() in out
        assert (directory / f"{name}.png").stat().st_size > 20_000
        assert (directory / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        written = json.loads((directory / f"{name}.json").read_text())
        assert [[run["seed"] for run in line["runs"]] for line in written["environments"][0]["lines"]] == [
            [0, 1] for of, _ in LINES if of == name
        ]
    (expert,) = (tmp_path / "runs/CartPole-v1/a2c").iterdir()
    kept = load(expert / FILE)
    assert (len(kept.episodes), kept.metadata["seed"], kept.metadata["run"]) == (EPISODES, EPISODES_SEED, str(expert))
    runs, made = sorted((tmp_path / "runs").glob("*/*/*")), (expert / FILE).stat().st_mtime_ns
    assert command(rl.imitation, *arguments)[0] == 0
    assert sorted((tmp_path / "runs").glob("*/*/*")) == runs, "finished runs are not trained again"
    assert (expert / FILE).stat().st_mtime_ns == made, "nor demonstrations played again"


@pytest.mark.parametrize("seed", [EXPERT_SEED, EPISODES_SEED])
def test_lines_do_not_take_the_seeds_of_the_experts(seed: int, command: Command, tmp_path: Path) -> None:
    status, out, err = command(rl.imitation, "--seeds", f"0,{seed}", "--only", "cloning", "--out", tmp_path)
    words = f"error: --seeds: {seed} is a seed of the experts, which no line may share: leave it out\n"
    assert (status, out, err) == (2, "", words)


def test_an_expert_must_beat_random_actions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("rl.experiments.imitation.training._random", lambda env_id, line: 1000.0)
    with pytest.raises(RunFailed, match=r"CartPole-v1: its expert returns [\d.]+, random actions 1000.0: no expert"):
        train_experts(["CartPole-v1"], ["total_timesteps=64", "eval_episodes=1"], tmp_path, Workplace(1))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_settings_of_every_line_are_taken(name: str) -> None:
    experiment = EXPERIMENTS[name]
    for env_id in experiment.envs:
        arms, given = experiment.lines(env_id), expert(env_id)
        assert set(experiment.judged) <= {arm.label for arm in arms}
        lines = [_line(env_id, arm, given, []) for arm in arms]
        assert len({line.label for line in lines}) == len({str(line.settings) for line in lines}) == len(arms)


def test_gail_has_one_setting_for_all_environments() -> None:
    settings = [
        {**_line(env_id, EXPERIMENTS["gail"].lines(env_id)[0], expert(env_id), []).settings, "demonstrations": ""}
        for env_id in EXPERIMENTS["gail"].envs
    ]
    assert all(each == settings[0] for each in settings)
    assert settings[0]["total_timesteps"] == 300_000, "the shipped recipe, untouched"


def test_only_known_experiments(command: Command) -> None:
    status, _, err = command(rl.imitation, "--only", "clone")
    assert status == 2
    assert "invalid choice: 'clone'" in err


def expert(env_id: str = "CartPole-v1", score: float = 500.0) -> Expert:
    run = Result(Path("expert"), {**result(EXPERT_SEED, score).summary})
    return Expert(_expert_line(env_id, []), run, Path("expert") / FILE, [score, score - 10], 1000, (4610, 9155))


def test_shares_of_the_experts_return() -> None:
    assert ratio(475.0, 500.0) == 0.95
    assert ratio(-100.0, -95.0) == 0.95, "of a negative return, the expert's over the score"
    assert ratio(-80.0, -95.0) > 1
    assert ratio(1.0, -95.0) == float("inf")
    assert bounds(500.0, 20.0) == (475.0, 476.0)
    assert bounds(-95.0, -500.0) == (-100.0, pytest.approx(-115.25))
    ours = against_expert([result(0, -96.0), result(1, -100.0)], -95.0, -500.0)
    assert ours.ratio.value == pytest.approx(95 / 98)
    assert ours.ratio.low == 0.95
    assert ours.way.value == pytest.approx(402 / 405)
    assert ours.reaches
    assert ours.surely
    assert not against_expert([result(0, 475.5)], 500.0, 20.0).reaches, "the stricter of the two counts"


def of_lines(experiment: Experiment, expert: Expert | None, results: Sequence[Sequence[Result]]) -> Report:
    arms = experiment.lines("CartPole-v1")
    lines: list[Line] = [_line("CartPole-v1", arm, expert, []) for arm in arms]
    case = Outcome("CartPole-v1", expert, 20.0, lines, results, [(386, 819)] * len(lines))
    return Report(experiment, "command", "machine", [0, 1], [case])


def with_metrics(directory: Path, found: Result, column: str, values: Sequence[float]) -> Result:
    """Ten rows of ten steps."""
    run = directory / f"{len(list(directory.iterdir()))}"
    run.mkdir()
    head = f"step,rollout/ep_rew_mean,{column}"
    rows = [f"{step},{step * found.summary['eval_mean']},{value}" for step, value in enumerate(values, start=1)]
    write_text(run / "metrics.csv", "\n".join([head, *rows, ""]))
    return found._replace(directory=run)


def test_page_beside_an_expert(tmp_path: Path) -> None:
    scores = [(500.0, 490.0), (20.0, 30.0), (500.0, 440.0), (10.0, 9.0), (500.0, 500.0)]
    names = ["gail/jsd"] * 4 + ["validation/loss"]
    results = [
        [with_metrics(tmp_path, result(k, mean), name, [0.5] * 8 + [0.125, 0.25]) for k, mean in enumerate(pair)]
        for pair, name in zip(scores, names, strict=True)
    ]
    of = of_lines(EXPERIMENTS["gail"], expert(), results)
    text = str(page(of))
    experts, lines = text.partition("| environment | line")[::2]
    assert rows(experts)["CartPole-v1"] == [
        "500.0", "500.0", "500,000", "495.0", "1,000", "20.0", "475.0", "476.0", "4,610 / 9,155"
    ]  # fmt: skip
    cells = [line.strip("| ").split(" | ") for line in lines.splitlines() if line.startswith("| CartPole-v1")]
    assert [line[1:3] for line in cells] == [
        ["GAIL", "≥ 95 %"],
        ["constant reward", "**falls short**"],
        ["only positive rewards", "**falls short**"],
        ["only negative rewards", "**falls short**"],
        ["behavior cloning", "≥ 95 %"],
    ]
    assert cells[0][3:] == [
        "495.0 [490.0, 500.0]", "490.0", "495.0 [490.0, 500.0]", "99.0 [98.0, 100.0]", "99.0 [97.9, 100.0]",
        "0.188", "386 / 819",
    ]  # fmt: skip
    assert cells[4][8] == "", "cloning has no discriminator"
    words = " ".join(text.split())
    assert "GAIL; behavior cloning: 95 % or more in CartPole-v1." in words
    assert "| only negative rewards | gail | all |" in words
    assert "`reward: negative`" in words
    assert "demonstrations:" not in words, "where a run lies is nobody's setting"
    numbers = page(of).numbers
    assert json.loads(json.dumps(numbers, allow_nan=False)) == json.loads(json.dumps(numbers))


def test_page_of_peers(tmp_path: Path) -> None:
    name = "train/peer_diversity"
    results = [
        [with_metrics(tmp_path, result(seed, mean + seed), name, [0.1 * (k + 1)] * 10) for seed in range(8)]
        for k, mean in enumerate((400.0, 450.0, 300.0))
    ]
    of = of_lines(EXPERIMENTS["mutual"], None, results)
    text = str(page(of))
    lines = text.partition("| environment | line")[2].partition("The same probabilities")
    cells = [line.strip("| ").split(" | ") for line in lines[0].splitlines() if line.startswith("| CartPole-v1")]
    assert [line[8] for line in cells] == ["0.1", "0.2", "0.3"]
    assert cells[1][6:8] == ["1.00 [0.59, 1.00]"] * 2  # 8 of 8
    verdicts = rows(lines[2].partition("Settings")[0])
    assert verdicts["mutual, 0.1"][1] == "better"
    assert verdicts["mutual, 1"][1] == "**worse**"
    numbers = page(of).numbers
    assert numbers["against_independent"]["mutual, 1"]["better"]["value"] == 0.0
    assert [line["measured"] for line in numbers["environments"][0]["lines"]] == [0.1, 0.2, pytest.approx(0.3)]


def test_an_expert_is_found_for_every_environment() -> None:
    needed = {env_id for each in EXPERIMENTS.values() if each.judged for env_id in each.envs}
    assert needed <= EXPERTS.keys()
