"""Reading runs whose files are damaged."""

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from agents.logger import Logger
from agents.settings.values import ConfigError
from rl.run.recorder import Recorder
from rl.run.results import read_columns, read_result


def test_columns(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss\n1,0.5\n2,\n", encoding="utf-8")
    columns = read_columns(path)
    assert columns["step"].tolist() == [1, 2]
    assert np.isnan(columns["loss"]).tolist() == [False, True]


def test_metrics_that_the_first_row_lacks_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An algorithm need not measure the same in every update; a name may contain a comma."""
    for k in range(2):  # the second continues the file
        logger = Logger()
        with closing(Recorder(tmp_path, logger, None)) as recorder:
            for step in (1, 2):
                logger.add({"train/a, b": torch.tensor([0.5])})
                if k or step > 1:
                    logger.add({"train/late": torch.ones(1)})
                recorder.flush(2 * k + step, step, 1.0)
        assert capsys.readouterr().out.count("note: metrics.csv leaves out train/late") == 1
    columns = read_columns(tmp_path / "metrics.csv")
    assert columns["step"].tolist() == [1, 2, 3, 4]
    assert columns["train/a, b"].tolist() == [0.5] * 4
    assert "train/late" not in columns


def test_a_resumed_run_no_longer_counts_as_failed(tmp_path: Path) -> None:
    with closing(Recorder(tmp_path, Logger(), None)) as recorder:
        state = recorder.state_dict()
    for name in ("error.txt", "summary.json"):
        (tmp_path / name).touch()
    with closing(Recorder(tmp_path, Logger(), None)) as recorder:
        recorder.load_state_dict(state)
    assert not {path.name for path in tmp_path.iterdir()} & {"error.txt", "summary.json"}


@pytest.mark.parametrize("row", [b"\x00" * 4_000, b"1", b"1,2,3", b"1,x", b"\xff,1"])
def test_a_damaged_row_is_refused_in_one_line(row: bytes, tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"step,loss\n1,0.5\n" + row + b"\n")
    with pytest.raises(ConfigError, match=f"{path} is damaged: line 3 must hold 2 numbers") as raised:
        read_columns(path)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("head", ["garbage", "stop,loss", "\x00,loss"])
def test_a_table_without_steps_is_refused(head: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(f"{head}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=f"{path} is damaged: its first column must be step"):
        read_columns(path)


def test_a_damaged_summary_is_refused(tmp_path: Path) -> None:
    names = ("eval_mean", "eval_std", "eval_stochastic_mean", "eval_stochastic_std")
    whole = {"seed": 0, "total_timesteps": 100, "eval_episodes": 2, **dict.fromkeys(names, 1.5)}
    broken = [{key: x for key, x in whole.items() if key != name} for name in whole]
    for content in (*broken, {}, [], None, 3, "eval_mean", {**whole, "eval_mean": None}):
        (tmp_path / "summary.json").write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(ConfigError, match=r"holds no finished run: its summary\.json cannot be read"):
            read_result(tmp_path)
    (tmp_path / "summary.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(ConfigError, match="holds no finished run"):
        read_result(tmp_path)
    (tmp_path / "summary.json").write_text(json.dumps(whole), encoding="utf-8")
    assert read_result(tmp_path).summary == whole
