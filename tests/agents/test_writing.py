"""Files are written completely or not at all, never through a link, and every error names the path."""

import errno
import os
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from agents.writing import delete_leftovers, write_text
from rl.run import figure


def disk_full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_named_and_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "summary.json"
    write_text(path, "old")
    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match=f"No space left on device: '{path}'"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "summary.json"
    with pytest.raises(FileNotFoundError, match=f"'{path}'"):
        write_text(path, "new")


def test_links_are_replaced_not_followed(tmp_path: Path) -> None:
    """Both the file and the temporary file beside it: the links' targets do not change."""
    target, path = tmp_path / "target", tmp_path / "config.yaml"
    target.write_text("theirs")
    path.symlink_to(target)
    (tmp_path / f".{path.name}.{os.getpid()}.tmp").symlink_to(target)
    write_text(path, "ours")
    assert (target.read_text(), path.read_text(), path.is_symlink()) == ("theirs", "ours", False)
    assert sorted(os.listdir(tmp_path)) == [path.name, target.name]


def test_a_figure_replaces_a_link(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "curve-0.9"
    target.write_text("theirs")
    for ending in (".png", ".pdf"):
        Path(f"{path}{ending}").symlink_to(target)
    figure.save(Figure(), path)
    assert target.read_text() == "theirs"
    assert Path(f"{path}.png").read_bytes()[:4] == b"\x89PNG"
    assert Path(f"{path}.pdf").read_bytes()[:4] == b"%PDF"


def test_a_lone_surrogate_is_escaped(tmp_path: Path) -> None:
    write_text(tmp_path / "error.txt", "γ \udcff")
    assert (tmp_path / "error.txt").read_text(encoding="utf-8") == "γ \\udcff"


def test_leftovers_are_deleted(tmp_path: Path) -> None:
    for name in (".summary.json.812.tmp", ".step-000000000100.pt.9.tmp", ".notes.tmp", "summary.json"):
        (tmp_path / name).touch()
    film = tmp_path / ".film.812.x1y2.tmp"
    film.mkdir()
    (film / "film.mp4").touch()
    delete_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".notes.tmp", "summary.json"]
