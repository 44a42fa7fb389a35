"""Reading runs whose files are damaged."""

from pathlib import Path

import numpy as np
import pytest

from agents.settings.values import ConfigError
from rl.run.results import read_columns


def test_columns(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss\n1,0.5\n2,\n", encoding="utf-8")
    columns = read_columns(path)
    assert columns["step"].tolist() == [1, 2]
    assert np.isnan(columns["loss"]).tolist() == [False, True]


@pytest.mark.parametrize("row", [b"\x00" * 4_000, b"1", b"1,2,3", b"1,x", b"\xff,1"])
def test_a_damaged_row_is_refused_in_one_line(row: bytes, tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"step,loss\n1,0.5\n" + row + b"\n")
    with pytest.raises(ConfigError, match=f"{path} is damaged: line 3 must hold 2 numbers") as raised:
        read_columns(path)
    assert len(str(raised.value)) < 300
