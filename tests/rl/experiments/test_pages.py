"""Files of pages, numbers and figures have the given names, even if these contain dots."""

import os
from pathlib import Path

from matplotlib.figure import Figure

from rl.experiments.pages import Page, table
from rl.run import figure


def test_names_with_dots_are_kept_apart(tmp_path: Path) -> None:
    for name in ("gamma-0.9", "gamma-0.99", "v1.5"):
        Page(name, "python -m rl.compare", "a machine", [], {"name": name}).write(tmp_path / "new" / name)
        figure.save(Figure(), tmp_path / "new" / name)
    assert len(os.listdir(tmp_path / "new")) == 12
    assert (tmp_path / "new" / "gamma-0.9.md").read_text().startswith("# gamma-0.9\n")


def test_a_bar_in_a_label_ends_no_cell() -> None:
    assert table(["line", "score"], [["a|b", "1.0"]]).splitlines()[-1] == r"| a\|b | 1.0 |"
