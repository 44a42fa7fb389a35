"""How kernels are cached: in a folder named after every source that is compiled into them."""

import ast
from pathlib import Path

import pytest

from agents.fused import learn
from envs import kernels
from envs.backends import native_physics
from tests import ROOT


def imported_files(file: Path) -> set[Path]:
    """The files of this repository that a file imports, but for the compiler."""
    names = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    files = {ROOT / f"{name.replace('.', '/')}.py" for name in names}
    return {file for file in files if file.exists()} - {ROOT / "envs/kernels.py"}


def test_every_source_of_the_fused_kernels_is_registered():
    package, sources = kernels.sources_of(learn.learn.py_func)
    defining = [file for file in sources if "@kernel" in file.read_text()]
    assert package == "agents.fused"
    assert len(defining) > 6
    assert set(sources) >= {source for file in defining for source in imported_files(file)}
    assert set(sources) >= set((ROOT / "agents/fused").glob("*.py"))


def test_a_kernel_of_a_package_without_sources_has_its_own_file():
    assert kernels.sources_of(native_physics.uniform.py_func) == (
        "envs.backends.native_physics", [Path(native_physics.__file__)],
    )  # fmt: skip
    assert imported_files(Path(native_physics.__file__)) == set()


def test_a_changed_source_gives_another_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    source, folders = tmp_path / "source.py", []
    for text in ("a = 1", "a = 2", "a = 1"):
        source.write_text(text)
        kernels._cache_folder.cache_clear()
        folders.append(kernels._cache_folder("package", (source,)))
    assert folders[0] == folders[2] != folders[1]
    assert Path(folders[0]).parent == tmp_path / "actor-critic-kernels/package"
    kernels._cache_folder.cache_clear()


def test_three_earlier_versions_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    source = tmp_path / "source.py"
    for version in range(6):
        source.write_text(str(version))
        kernels._cache_folder.cache_clear()
        kernels._cache_folder("package", (source,))
    assert len(list((tmp_path / "actor-critic-kernels/package").iterdir())) == 4
    kernels._cache_folder.cache_clear()


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    kernels._cache_folder.cache_clear()
    with pytest.raises(OSError, match=r"no folder can be written to for compiled kernels; tried .*file"):
        kernels._cache_folder("package", ())
    kernels._cache_folder.cache_clear()
