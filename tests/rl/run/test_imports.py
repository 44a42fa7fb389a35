"""Commands print the modules that a checkpoint names, before they import them."""

from pathlib import Path

import pytest

from agents import checkpoint, registry
from rl.run import parts, playing, resuming, training
from rl.run.imports import name_imports
from rl.run.terminal import Interrupt
from tests.agents.test_loading import MODULE, saved_with


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    return saved_with(tmp_path / "foreign", env=f"{MODULE}:Env-v0")


def stop(*_: object, **__: object) -> None:
    raise InterruptedError


@pytest.mark.parametrize("setting", ["warm_start", "teachers"])
def test_training_names_what_its_sources_import(
    setting: str, foreign: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "build", stop)
    given = {"total_timesteps": 100, setting: str(foreign) if setting == "warm_start" else [str(foreign)]}
    with pytest.raises(InterruptedError):
        parts.build("distill" if setting == "teachers" else "a2c", "CartPole-v1", given)
    assert capsys.readouterr().out == f"     imports  {MODULE}:Env-v0\n"


def test_sources_that_cannot_be_read_are_left_to_loading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "build", stop)
    for given in ({"warm_start": str(tmp_path / "none")}, {"teachers": 3}, {}):
        with pytest.raises(InterruptedError):
            parts.build("a2c", "CartPole-v1", {"total_timesteps": 100, **given})
    assert capsys.readouterr().out == ""


def test_a_student_names_its_teachers_and_their_modules(
    foreign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = saved_with(tmp_path / "student", wraps="a2c", settings={"teachers": [str(foreign)]})
    name_imports(checkpoint.read(file))
    assert capsys.readouterr().out == f"     imports  {foreign}, {MODULE}:Env-v0\n"


def test_playing_names_them_first(
    foreign: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "restore", stop)
    with pytest.raises(InterruptedError):
        playing.acting(checkpoint.read(foreign), "evaluated")
    assert capsys.readouterr().out == f"     imports  {MODULE}:Env-v0\n"


def test_resuming_names_them_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "restore", stop)
    saved_with(tmp_path / "checkpoints" / "step-000000000000.pt", settings={"network": f"{MODULE}:Net"})
    (tmp_path / "config.yaml").write_text("env: CartPole-v1\n", encoding="utf-8")
    with pytest.raises(InterruptedError):
        resuming.resume(training._parser([]).parse_args(["--resume", str(tmp_path)]), Interrupt())
    assert capsys.readouterr().out == f"     imports  {MODULE}:Net\n"
