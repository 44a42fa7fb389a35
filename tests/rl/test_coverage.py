"""`python -m rl.coverage`: known coverages, and the page."""

import json
from pathlib import Path

import pytest

import rl.coverage
from rl.experiments.coverage import EQUAL, FIFTH, NORMAL, QUESTIONS, SEEDS, TWO_FIFTHS, Kind, covered
from tests.conftest import Command


def test_truths_by_hand() -> None:
    assert FIFTH.mean == 0.8
    assert NORMAL.iqm == pytest.approx(1.0, abs=1e-3)
    assert TWO_FIFTHS.iqm == pytest.approx(0.7, abs=0.05)  # of the middle half, 15 % of the runs fail and 35 % do not
    assert NORMAL.beats(NORMAL) == 0.5
    assert NORMAL.beats(TWO_FIFTHS) == pytest.approx(0.4 + 0.6 / 2)
    assert Kind("", 0.0, 1.1).beats(NORMAL) == pytest.approx(0.760, abs=1e-3)  # Φ(1 / √2)


@pytest.mark.slow
def test_coverage_of_the_mean() -> None:
    """Student's t covers 95 % for normal samples; the percentile bootstrap 84 % for five runs (Hesterberg 2015)."""
    question = QUESTIONS[0]._replace(cases={"normal": EQUAL["normal"]})
    shares = {row.method: row.share for row in covered(question, samples=400)}
    assert shares["Student's t"] == pytest.approx([0.95] * len(SEEDS), abs=0.035)
    assert shares["percentile bootstrap"][0] == pytest.approx(0.84, abs=0.05)
    ours = shares["**expanded percentile bootstrap**"]
    assert ours == pytest.approx([0.93] * len(SEEDS), abs=0.04)
    assert all(a >= b for a, b in zip(ours, shares["percentile bootstrap"], strict=True))


def test_page(command: Command, tmp_path: Path) -> None:
    status, out, _ = command(rl.coverage, "--samples", "2", "--results", tmp_path)
    assert status == 0
    assert out.startswith((tmp_path / "statistics/coverage.md").read_text())
    rows = json.loads((tmp_path / "statistics/coverage.json").read_text())["rows"]
    assert {len(row["share"]) for row in rows} == {len(SEEDS)}
    for question in QUESTIONS:
        assert f"## {question.title}\n" in out
