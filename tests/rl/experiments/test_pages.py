"""Files of pages, numbers and figures have the given names, even if these contain dots."""

import os
from pathlib import Path

from matplotlib.figure import Figure

import rl.compare
import rl.sweep
from rl.experiments.pages import Page, check_name, image, table
from rl.run import figure
from tests.conftest import Command


def test_names_with_dots_are_kept_apart(tmp_path: Path) -> None:
    for name in ("gamma-0.9", "gamma-0.99", "v1.5"):
        Page(name, "python -m rl.compare", "a machine", [], {"name": name}).write(tmp_path / "new" / name)
        figure.save(Figure(), tmp_path / "new" / name)
    assert len(os.listdir(tmp_path / "new")) == 12
    assert (tmp_path / "new" / "gamma-0.9.md").read_text().startswith("# gamma-0.9\n")


def test_a_page_of_another_command_is_not_replaced(tmp_path: Path, command: Command) -> None:
    """A search under the default name of a comparison, and a comparison under that of a search."""
    for name, prog in (("comparison", "rl.compare"), ("search", "rl.sweep")):
        path = tmp_path / "CartPole-v1" / name
        Page(name, f"python -m {prog} CartPole-v1", "a machine", [], {"name": name}).write(path)
        check_name(path, prog)
        other = rl.sweep if prog == "rl.compare" else rl.compare
        status, out, err = command(other, "CartPole-v1", "--name", name, "--results", tmp_path, "--out", tmp_path)
        words = f"{path}.json was written by {prog}: choose another --name, or delete it"
        assert (status, out, err) == (2, "", f"error: {words}\n")


def test_a_bar_in_a_label_ends_no_cell() -> None:
    assert table(["line", "score"], [["a|b", "1.0"]]).splitlines()[-1] == r"| a\|b | 1.0 |"


def test_a_name_with_spaces_ends_no_link() -> None:
    assert image("curves", "my search (2).png") == "![curves](my%20search%20%282%29.png)"
    assert image("curves", "../CartPole-v1/v1.5.png") == "![curves](../CartPole-v1/v1.5.png)"
