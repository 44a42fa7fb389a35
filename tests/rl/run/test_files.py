"""Files of a run directory: links to the outside are refused, and failed writes are noticed."""

import errno
import io
import os
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext, suppress
from pathlib import Path

import pytest

import rl.train
from agents.checkpoint import CheckpointError
from agents.settings.values import ConfigError
from rl.run import files
from rl.run.files import JsonLines, Table, lock
from tests.conftest import Command
from tests.full_disk import full_disk
from tests.runs import run_of

SHORT = ["--total-timesteps", "2000", "--set", "eval_episodes=2", "--engine", "torch"]


@pytest.mark.parametrize("name", [".lock", "metrics.csv", "learning_curve.png", "checkpoints"])
def test_resume_refuses_a_link_out_of_the_run(name: str, command: Command, tmp_path: Path) -> None:
    """Exit status 2 and one line; the link's target and the run do not change."""
    assert command(rl.train, "CartPole-v1", *SHORT, "--out", tmp_path / "runs")[0] == 0
    run, target = run_of(tmp_path / "runs"), tmp_path / "theirs"
    (run / name).rename(target)
    if name == ".lock":
        target.write_text("precious")
    (run / name).symlink_to(target)
    held = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    status, _, err = command(rl.train, "--resume", run, "--total-timesteps", "4000")
    assert (status, err.count("\n")) == (2, 1)
    assert f"{run / name} is a link" in err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == held


@pytest.mark.parametrize("name", [".lock", "metrics.csv"])
def test_a_link_that_appears_later_is_not_followed(name: str, tmp_path: Path) -> None:
    target = tmp_path / "theirs"
    target.write_text("precious")
    (tmp_path / name).symlink_to(target)
    with pytest.raises(OSError, match=f"'{tmp_path / name}'"):
        files._Appended(tmp_path / name)
    assert target.read_text() == "precious"


def test_lock_deletes_what_a_killed_process_left(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    for name in (".summary.json.812.tmp", "checkpoints/.step-000000000100.pt.812.tmp", "config.yaml"):
        (tmp_path / name).touch()
    with lock(tmp_path), pytest.raises(ConfigError, match="another process is training"):
        lock(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".lock", "checkpoints", "config.yaml"]
    assert os.listdir(tmp_path / "checkpoints") == []


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    table = Table(tmp_path / "metrics.csv")
    table.header(["step"])
    yield table
    with suppress(OSError):
        table.close()


@pytest.mark.parametrize("existed", [False, True])
def test_a_refused_resume_leaves_a_table_as_it_was(existed: bool, tmp_path: Path) -> None:
    path = tmp_path / "episodes.csv"
    if existed:
        path.touch()  # emptied after the checkpoint was written
    table = Table(path)
    table.header(["step"])
    with pytest.raises(CheckpointError, match="so the run cannot go on"):
        table.check_size(10)
    table.discard()
    table.close()
    assert (path.exists(), path.exists() and path.read_bytes()) == (existed, b"" if existed else False)


@pytest.mark.parametrize("fate", ["deleted", "replaced"])
def test_a_lost_table_is_noticed_when_rows_reach_the_disk(fate: str, table: Table, tmp_path: Path) -> None:
    size = table.size()
    assert size == len("step\n")
    table.path.unlink()
    if fate == "replaced":
        table.path.touch()
    with pytest.raises(FileNotFoundError, match=f"deleted or replaced .*'{tmp_path / 'metrics.csv'}'"):
        table.row([1] * io.DEFAULT_BUFFER_SIZE * 4)


def test_rows_can_be_read_along(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    table.row([1])
    assert table.path.read_text() == ""
    clock += 1
    table.row([2])
    assert table.path.read_text() == "step\n1\n2\n"


def test_a_lost_table_is_noticed_without_new_rows(table: Table) -> None:
    table.size()
    table.path.unlink()
    with pytest.raises(FileNotFoundError):
        table.size()


def test_a_full_disk_is_named(table: Table) -> None:
    table.row([1])
    with full_disk(), pytest.raises(OSError, match=str(table.path)) as raised:
        table.size()
    assert raised.value.errno == errno.EFBIG
    assert table.size() == len("step\n1\n"), "once there is room again, nothing is missing"


def test_json_lines_outlive_a_cut_off_line_and_name_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.jsonl"
    with closing(JsonLines(path)) as lines:
        lines.append({"a": 1})
        lines.append([2])
        with full_disk(), pytest.raises(OSError, match=str(path)):
            lines.append("late")
    path.write_bytes(path.read_bytes() + b'{"cut')
    for _ in range(2):
        with closing(JsonLines(path)) as lines:
            assert lines.values == [{"a": 1}, [2], "late"]
    path.write_bytes(b"{}\nbroken\n")
    with pytest.raises(ConfigError, match=f"{path} is damaged .*; delete it to begin anew"):
        JsonLines(path)


@pytest.mark.parametrize("allowed", [True, False])
def test_links_that_the_caller_makes_may_stay(allowed: bool, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "theirs").symlink_to(tmp_path / "nowhere")
    with nullcontext() if allowed else pytest.raises(ConfigError, match="theirs is a link"):
        lock(tmp_path, ("theirs",) if allowed else ()).close()


def test_a_file_system_without_locks_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", unsupported)
    lock(tmp_path).close()
    with files.after_others(tmp_path):
        pass
