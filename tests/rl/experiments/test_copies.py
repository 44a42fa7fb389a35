"""Run directories trained on another machine: copies, and what a worker does without the driver's disk."""

from pathlib import Path

import pytest

from agents.machine import versions
from rl.experiments.executors.away import Parcel, train
from rl.experiments.executors.copies import Changes, Original, apply, packed
from rl.run.terminal import DONE, FAILED
from rl.run.training import main
from tests.runs import run_of

SETTINGS = "engine: torch\nnum_envs: 2\nn_steps: 8\neval_episodes: 1\ntotal_timesteps: 64\ncheckpoint_interval: 32\n"


def test_a_copy_gets_what_has_changed(tmp_path: Path) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    (original / "checkpoints").mkdir(parents=True)
    rows, first = original / "metrics.csv", original / "checkpoints/step-1.pt"
    rows.write_text("step\n1\n")
    first.write_bytes(b"one")
    (original / ".lock").touch()
    run = Original(original)
    apply(run.changes(), copy)
    assert contents(copy) == {"metrics.csv": b"step\n1\n", "checkpoints/step-1.pt": b"one"}
    (copy / ".lock").touch()
    with rows.open("a") as file:
        file.write("2\n")
    first.unlink()
    (original / "checkpoints/step-2.pt").write_bytes(b"two")
    changes = run.changes()
    assert changes == (
        {"metrics.csv": (7, b"2\n"), "checkpoints/step-2.pt": (0, b"two")}, ["checkpoints/step-2.pt", "metrics.csv"]
    )  # fmt: skip
    with (copy / "metrics.csv").open("a") as file:
        file.write("torn")
    apply(changes, copy)
    assert contents(copy) == {".lock": b""} | {
        "metrics.csv": b"step\n1\n2\n", "checkpoints/step-2.pt": b"two",
    }  # fmt: skip
    assert run.changes() == ({}, changes[1])


def test_a_link_in_a_copy_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "target").write_text("kept")
    (tmp_path / "copy/metrics.csv").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match=r"metrics\.csv"):
        apply(({"metrics.csv": (2, b"!")}, ["metrics.csv"]), tmp_path / "copy")
    assert (tmp_path / "target").read_text() == "kept"


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


def test_files_travel_and_the_run_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker has neither the settings file nor the run to start from; both are deleted while it trains."""
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "own.yaml"
    config.write_text(SETTINGS)
    assert main(["CartPole-v1", "--config", str(config), "--out", "first"]) == DONE
    before = run_of(Path("first"))
    argv = ["CartPole-v1", "--config", str(config), "--set", f"warm_start={before}"]
    carried = {str(path): packed(path) for path in (config, before)}
    config.unlink()
    before.rename("elsewhere")
    sent: list[tuple[str, Changes]] = []
    assert train(Parcel(main, argv, [], None, carried, versions()), lambda *what: sent.append(what))[0] == DONE
    for name, changes in sent:
        apply(changes, tmp_path / "copies" / name)
    copy = run_of(tmp_path / "copies")
    assert {len(changes[0]) > 0 for _, changes in sent} == {True}
    assert len(sent) == 3, "two checkpoints and the end"
    assert f"warm_start: {before}\n" in (copy / "config.yaml").read_text()
    assert {"summary.json", "learning_curve.png", "metrics.csv"} <= contents(copy).keys()
    assert not list(Path().glob("CartPole-v1"))


def test_a_failure_names_the_run_and_other_versions_are_refused(tmp_path: Path) -> None:
    parcel = Parcel(main, ["nowhere:Env-v0"], [], None, {}, versions())
    status, problem = train(parcel, lambda *what: None)
    assert (status, "nowhere" in problem) == (FAILED, True)
    status, problem = train(parcel._replace(versions={**versions(), "numpy": "1.0"}), lambda *what: None)
    assert status == FAILED
    assert problem.endswith(f"has numpy {versions()['numpy']}, the driver 1.0: install the same on all nodes")
