"""Kernels are cached in a folder named after all sources compiled into them."""

import ast
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.fused import learn
from envs import kernels
from envs.backends import native_physics
from tests import ROOT


def imported_files(file: Path) -> set[Path]:
    """The files of this repository that a file imports, except the compiler."""
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


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only parent of the cache folders."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    kernels._cache_folder.cache_clear()
    yield tmp_path
    kernels._cache_folder.cache_clear()


def private(root: Path) -> Path:
    return root / f"actor-critic-kernels-{os.getuid()}"


def test_a_changed_source_gives_another_folder(root):
    source, folders = root / "source.py", []
    for text in ("a = 1", "a = 2", "a = 1"):
        source.write_text(text)
        kernels._cache_folder.cache_clear()
        folders.append(kernels._cache_folder("package", (source,)))
    assert folders[0] == folders[2] != folders[1]
    assert Path(folders[0]).parent == private(root) / "package"


def test_three_earlier_versions_are_kept(root):
    source = root / "source.py"
    for version in range(6):
        source.write_text(str(version))
        kernels._cache_folder.cache_clear()
        kernels._cache_folder("package", (source,))
    assert len(list((private(root) / "package").iterdir())) == 4


def test_the_folder_is_the_users_alone(root):
    kernels._cache_folder("package", ())
    assert private(root).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("what", ["of another user", "open to others", "a link", "a file"])
def test_a_folder_that_others_can_write_to_is_not_used(what, root, monkeypatch):
    """Numba would unpickle, and so execute, files put there by others. So kernels are not cached, with a warning."""
    folder = private(root)
    if what == "of another user":
        folder = root / "actor-critic-kernels-12345"
        monkeypatch.setattr(os, "getuid", lambda: 12345)
        folder.mkdir(mode=0o700)
    elif what == "open to others":
        folder.mkdir()
        folder.chmod(0o775)
    elif what == "a link":
        (root / "theirs").mkdir(mode=0o700)
        folder.symlink_to(root / "theirs")
    else:
        folder.touch()
    before = sorted(root.rglob("*"))
    with pytest.warns(RuntimeWarning, match=f"compiled anew in every process: no folder in {root} can be written to"):
        assert kernels._cache_folder("package", ()) is None
    assert sorted(root.rglob("*")) == before


def test_kernels_work_without_a_folder(root):
    private(root).touch()
    with pytest.warns(RuntimeWarning, match="set NUMBA_CACHE_DIR"):
        assert kernels.kernel(twice)(2.0) == 4.0


def twice(x):
    return 2 * x


DAMAGES = {
    "emptied": lambda raw: b"",
    "cut off": lambda raw: raw[: len(raw) // 2],
    "zeros": lambda raw: bytes(len(raw)),
    "zeros in the middle": lambda raw: raw[: len(raw) // 3] + bytes(len(raw) // 3) + raw[len(raw) // 3 * 2 :],
    "one bit": lambda raw: raw[:-9] + bytes([raw[-9] ^ 1]) + raw[-8:],
}


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_kernel_is_compiled_anew(damage, ending, root):
    assert kernels.kernel(twice)(2.0) == 4.0
    (file,) = root.rglob(f"*.{ending}")
    intact = file.read_bytes()
    file.write_bytes(DAMAGES[damage](intact))
    compiled = []
    with warnings.catch_warnings(record=True) as said, kernels.compiling(lambda: compiled.append(True)):
        warnings.simplefilter("default")
        assert kernels.kernel(twice)(2.0) == 4.0
    assert compiled
    assert {str(one.message) for one in said} == {f"damaged kernels are compiled anew; they are in {file.parent}"}
    compiled.clear()
    with kernels.compiling(lambda: compiled.append(True)):
        assert kernels.kernel(twice)(2.0) == 4.0
    assert not compiled, "the damaged file was replaced"


def test_kernels_that_cannot_be_kept(root, monkeypatch):
    def disk_full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kernels._Files, "save", disk_full)
    with pytest.warns(RuntimeWarning, match="compiled kernels cannot be kept: .* No space left on device"):
        assert kernels.kernel(twice)(2.0) == 4.0
