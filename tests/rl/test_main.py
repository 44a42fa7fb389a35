"""`actor-critic` and `python -m rl`: the list of commands, their dispatch, and folders that hide the packages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rl
from rl import __main__ as entry
from tests import ROOT


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["actor-critic", *argv])
    status = 0
    try:
        entry.main()
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    return status, *capsys.readouterr()


def python(folder: Path, *argv: str) -> tuple[int, str]:
    """Runs Python in a folder, with our packages later on the path: exit status and standard error."""
    path = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *argv], cwd=folder, env=path, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_every_command_is_listed_with_a_purpose(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = call(monkeypatch, capsys)
    rows = [line.split(maxsplit=1) for line in out.splitlines() if line.startswith("  ")]
    assert [name for name, _ in rows] == sorted(file.stem for file in (ROOT / "rl").glob("[!_]*.py"))
    assert all(len(purpose) > 20 for _, purpose in rows)
    assert ("train ENV", "trains an agent, evaluates it, and leaves a run directory.") in [
        (f"{command.name} {command.arguments}", command.purpose) for command in entry.commands()
    ]
    assert status == 0


def test_version_and_unknown_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, capsys, "--version") == (0, f"actor-critic {rl.__version__}\n", "")
    assert call(monkeypatch, capsys, "trian") == (2, "", "error: 'trian' is not a command; did you mean 'train'?\n")


@pytest.mark.filterwarnings("ignore:.* found in sys.modules after import:RuntimeWarning")
def test_a_command_runs_with_modules_of_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "own_agent_of_a_user.py").write_text("from tests.agents.reinforce import Reinforce as Own\n")
    status, out, err = call(monkeypatch, capsys, "train", "--agent", "own_agent_of_a_user:Own", "--list")
    assert (status, err) == (0, "")
    assert "a2c, ppo, stream" in out


@pytest.mark.parametrize("arguments", [[], ["--version"], ["trian"]])
def test_streams_never_end_it(arguments: list[str]) -> None:
    """An encoding without "…", and a disk without space."""
    command = [sys.executable, "-m", "rl", *arguments]
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    written = subprocess.run(command, cwd=ROOT, env=ascii_only, capture_output=True, text=True, check=False)
    with Path("/dev/full").open("w") as full:
        lost = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert written.returncode == lost.returncode == (2 if arguments == ["trian"] else 0)
    assert "Traceback" not in written.stderr + lost.stderr


def test_listing_imports_nothing_heavy() -> None:
    code = "import sys, rl.__main__; sys.argv = ['actor-critic']; rl.__main__.main(); sys.exit('torch' in sys.modules)"
    assert python(ROOT, "-c", code) == (0, "")


@pytest.mark.parametrize("name", ["agents", "envs"])
def test_a_folder_that_hides_a_package_is_named(tmp_path: Path, name: str) -> None:
    """Python finds packages in the working directory first. A user's own rl/ replaces these commands."""
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    status, err = python(tmp_path, "-m", "rl.train", "CartPole-v1")
    start = f"error: {tmp_path / name / '__init__.py'} hides the package '{name}' of actor-critic: rename it"
    assert (status, err.count("\n"), err[: len(start)]) == (2, 1, start)
    module = "rl" if name == "agents" else "agents"
    status, err = python(tmp_path, "-c", f"import {module}")
    assert status == 1
    assert err.splitlines()[-1].startswith(f"ImportError: {start.removeprefix('error: ')}")
