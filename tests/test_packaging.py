"""Distributions: they build, contain what they should, and train in an empty directory; there is one version."""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

import rl
from tests import ROOT

PYTHONS = ("python3.11", "python3.12", "python3.13")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the wheel and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True)
    return folder


def run(folder: Path, *command: object) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = [*map(str, command)]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout


def test_the_wheel_holds_the_packages_and_their_data(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        [metadata] = (archive.read(name).decode() for name in names if name.endswith("METADATA"))
    assert {name.partition("/")[0] for name in names} == {
        "rl", "agents", "envs", f"actor_critic-{rl.__version__}.dist-info"
    }  # fmt: skip
    assert {f"{package}/py.typed" for package in ("rl", "agents", "envs")} <= names
    assert {
        f"agents/configs/{file.relative_to(ROOT / 'configs')}" for file in (ROOT / "configs").rglob("*.yaml")
    } <= names
    assert f"\nVersion: {rl.__version__}\n" in metadata
    assert "\nAuthor: the actor-critic developers\n" in metadata


def test_the_sdist_holds_sources_tests_and_documents(built: Path) -> None:
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "pyproject.toml",
        "LICENSE",
        "CHANGELOG.md",
        "rl/train.py",
        "tests/test_packaging.py",
        "docs/conf.py",
    } <= names
    assert not [name for name in names if name.startswith(("results/runs", "docs/_build", ".venv"))]


def test_the_version_is_written_once_beside_the_citation() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == rl.__version__
    [newest, *_] = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest == rl.__version__


def test_the_wheel_trains_in_an_empty_directory(built: Path, tmp_path: Path) -> None:
    """Unpacked, using this environment's dependencies; `test_installation` installs these too."""
    [wheel] = built.glob("*.whl")
    (tmp_path / "work").mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "unpacked")
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'unpacked')!r}); import rl.__main__ as entry; entry.main()"
    run(tmp_path / "work", sys.executable, "-I", "-c", code, "train", "CartPole-v1", "--total-timesteps", 64, "--set",
        "eval_episodes=1", "--engine", "torch")  # fmt: skip
    [settings] = tmp_path.glob("work/results/runs/CartPole-v1/a2c/*/config.yaml")
    assert "normalize_rewards: true" in settings.read_text()  # from the recipe in the wheel


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
def test_installation(python: str, built: Path, tmp_path: Path, long: bool) -> None:
    """In a virtual environment for each Python on this machine, with the tested versions of the dependencies."""
    if not long:
        pytest.skip("takes minutes: make test-long")
    if subprocess.run(["sh", "-c", f"{python} --version"], capture_output=True, check=False).returncode:
        pytest.skip(f"no {python} here")
    [wheel] = built.glob("*.whl")
    run(tmp_path, python, "-m", "venv", "venv")
    run(tmp_path, "venv/bin/python", "-m", "pip", "install", "-q", "--constraint", ROOT / "constraints.txt", wheel)
    (tmp_path / "work").mkdir()
    out = run(tmp_path / "work", "../venv/bin/actor-critic", "train", "CartPole-v1", "--total-timesteps", 1600)
    assert "trained       1,600 steps" in out
