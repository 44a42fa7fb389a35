"""`python -m rl.index`: what it reads."""

import json
from pathlib import Path

import pytest

import rl.index
from agents.settings.values import ConfigError
from rl.experiments.compared import read_compared
from tests.conftest import Command

RUN = {"seed": 0, "eval_mean": 9.5, "eval_stochastic_mean": 20.0}
LINE = {"label": "ours", "settings": {"total_timesteps": 100}, "runs": [RUN]}
CONTENT = {"command": "python -m rl.compare", "random": 20.0, "lines": [LINE]}


def written(file: Path, content: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def test_a_file_without_scores_is_not_what_compare_writes(tmp_path: Path) -> None:
    broken = [{key: part for key, part in CONTENT.items() if key != missing} for missing in CONTENT]
    for content in (*broken, {**CONTENT, "lines": [{**LINE, "runs": [{"seed": 0}]}]}, {**CONTENT, "lines": []}):
        file = written(tmp_path / "A-v0" / "comparison.json", content)
        with pytest.raises(ConfigError, match="is not what"):
            read_compared(file)
    found = read_compared(written(file, CONTENT))
    assert found is not None
    assert found.scores() == {"ours": [9.5]}


def test_a_suite_of_any_agent_is_left_out(command: Command, tmp_path: Path) -> None:
    written(tmp_path / "A-v0" / "comparison.json", CONTENT)
    written(tmp_path / "zoo-mine-Agent" / "zoo-mine-Agent.json", {"environments": []})
    written(tmp_path / "zoo-mine-Agent" / "looks.json", [])
    status, _, err = command(rl.index, "--results", tmp_path)
    assert (status, err) == (0, "")
    index = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| [A-v0](A-v0/comparison.md) | 1 | ours: 9.50 |" in index
    assert "zoo" not in index
