"""Documents: every Python block and every command of quickstart, tutorials and FAQ runs; the site builds."""

import re
import shlex
import sys
from collections.abc import Iterator
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import IO, NamedTuple, NoReturn
from warnings import catch_warnings, simplefilter

import pytest
from matplotlib.figure import Figure
from PIL import Image
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from rl.run.terminal import Parser
from tests import ROOT
from tests.conftest import Command


class Block(NamedTuple):
    language: str
    text: str


DOCUMENTS = [ROOT / "README.md", *sorted(x for x in (ROOT / "docs").rglob("*.md") if "_build" not in x.parts)]
BLOCKS = {
    str(path.relative_to(ROOT)): [
        Block(*found) for found in re.findall(r"^```(.*?)\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)
    ]
    for path in DOCUMENTS
}
WALKS = [name for name in BLOCKS if name.startswith("docs/tutorials/")] + ["docs/quickstart.md", "docs/faq.md"]
PYTHON = [name for name, blocks in BLOCKS.items() if "python" in dict(blocks) and name not in WALKS]
SHORT = {  # flags that make a command quick; they override its own
    "train": ["--eval-episodes", "2"],
    "evaluate": ["--episodes", "2"],
    "compare": ["--seeds", "0", "--total-timesteps", "160", "--set", "eval_episodes=1", "--set", "engine=torch"],
    "sweep": ["--trials", "1", "--total-timesteps", "160", "--set", "engine=torch"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory on Python's path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.slow
@pytest.mark.parametrize("document", PYTHON)
def test_examples(document: str, folder: Path) -> None:
    for language, text in BLOCKS[document]:
        if language == "python":
            exec(text, {})


def test_every_block_is_found() -> None:
    for name, blocks in BLOCKS.items():
        fences = re.findall("^ *```", (ROOT / name).read_text(encoding="utf-8"), re.M)
        assert len(fences) == 2 * len(blocks), name


class Understood(Exception):
    """A command's arguments are accepted."""


@pytest.mark.parametrize("document", [name for name, blocks in BLOCKS.items() if "sh" in dict(blocks)])
def test_every_command_is_understood(document: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's options exist and its values fit. Commands that name a reader's module are skipped."""

    def parse_args(parser: Parser, given: list[str]) -> NoReturn:
        parse(parser, given)
        raise Understood

    parse = Parser.parse_args
    monkeypatch.setattr(Parser, "parse_args", parse_args)
    text = "\n".join(text for language, text in BLOCKS[document] if language == "sh").replace("\\\n", " ")
    for line in text.splitlines():
        words = shlex.split(line.replace("python -m rl.", "actor-critic "), comments=True)
        if words[:1] == ["actor-critic"] and not re.search(r"your_|mine[:.]", line):
            with pytest.raises((Understood, SystemExit)):  # SystemExit comes from --help; a mistake raises ConfigError
                import_module(f"rl.{words[1]}").main(words[2:])


@pytest.mark.slow
@pytest.mark.parametrize("document", WALKS)
def test_a_reader_can_follow(
    document: str, folder: Path, command: Command, in_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Block by block: Python runs, or is saved if it begins with a file name; commands run in a shortened form."""
    monkeypatch.setattr(Figure, "savefig", one_pixel)  # drawing takes half of the time
    for language, text in BLOCKS[document]:
        file = re.match(r"# (\w+\.\w+)\n", text)
        if language in ("python", "yaml") and file:
            (folder / file[1]).write_text(text, encoding="utf-8")
        elif language == "python":
            exec(text, {})
        elif language == "sh":
            for line in text.splitlines():
                follow(line, command)
        else:
            assert language == "console", language
            lines = text.splitlines()
            for line, expected in zip(lines[::2], lines[1::2], strict=True):
                said = refused(line.removeprefix("$ "), command)
                assert re.fullmatch(re.escape(expected).replace("…", ".*"), said), said


def one_pixel(figure: Figure, file: IO[bytes], **options: str) -> None:
    Image.new("RGB", (1, 1)).save(file, options["format"])


def follow(line: str, command: Command) -> None:
    """Runs a shortened `actor-critic NAME …`. RUN means the newest run."""
    words = shlex.split(line, comments=True)
    if not words or words[0] == "pip":
        return
    runs = sorted(Path("results/runs").glob("*/*/*/config.yaml"), key=lambda file: file.stat().st_mtime)
    name, *given = [str(runs[-1].parent) if word == "RUN" else word for word in words[1:]]
    extra = [] if "--resume" in given else SHORT.get(name, [])
    status, out, err = command(import_module(f"rl.{name}"), *given, *extra)
    assert (words[0], status) == ("actor-critic", 0), (line, out, err)


def refused(line: str, command: Command) -> str:
    """The last line of `actor-critic NAME …`, which fails."""
    start, name, *given = shlex.split(line)
    status, _, err = command(import_module(f"rl.{name}"), *given)
    assert (start, status) in (("actor-critic", 1), ("actor-critic", 2)), line
    return err.splitlines()[-1]


@pytest.mark.slow
def test_the_site_builds_without_warnings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every link between documents, to sources and to results works. `make docs` also writes the pages."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    warnings, out = StringIO(), tmp_path / "out"
    with docutils_namespace(), catch_warnings():
        simplefilter("ignore")  # from Sphinx itself
        app = Sphinx(ROOT, ROOT / "docs", out, tmp_path / "trees", "dummy", status=None, warning=warnings)
        app.build(force_all=True)
    assert warnings.getvalue() == ""
    named = {name for names in app.env.toctree_includes.values() for name in names}
    assert {name.removesuffix(".md") for name in BLOCKS} <= named | {app.config.root_doc}
