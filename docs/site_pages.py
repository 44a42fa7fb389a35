"""The Sphinx extension of this site: pages made from the code, and a page for every source file that a page links to.

Directives: `settings AGENT`, `commands` and `pages`.
"""

import contextlib
import dataclasses
import html
import importlib
import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Union, get_args, get_origin
from unittest.mock import patch

from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.directives.other import TocTree
from sphinx.util.docutils import SphinxDirective
from sphinx.util.osutil import relative_uri

from agents import registry
from agents.settings.documentation import documentation
from agents.settings.ranges import Range
from agents.settings.run import RunSettings
from agents.settings.schema import setting_defaults, setting_types
from agents.settings.values import ConfigError, convert, text_of
from rl.__main__ import commands

RESULTS = "results/README"  # the index of results, whose pages the sidebar lists below it
SOURCES = "source"  # folder of the pages of source files
LARGEST = 200_000  # characters of a file that has a page; a larger one is downloaded
WIDTH = "92"  # columns of --help


class Pages(TocTree):
    """A toctree, followed by the other pages of its folder that this page does not name. Argument: folder."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        own = self.env.docname
        named = self.env.doc2path(own).read_text(encoding="utf-8").splitlines()
        here = own.removesuffix(own.rpartition("/")[2])
        pages = sorted(name.removeprefix(here) for name in self.env.found_docs - {own} if name.startswith(here))
        folder = self.arguments[0] if self.arguments else ""
        others = [name for name in pages if name not in named and name.rpartition("/")[0] == folder]
        self.content = StringList([*self.content, *others], source=__file__)
        return super().run() if self.content else []


class Commands(SphinxDirective):
    """Every command: how it is called, what its module says, and its --help."""

    def run(self) -> list[nodes.Node]:
        lines = list[str]()
        for command in commands():
            module, shown = importlib.import_module(f"rl.{command.name}"), io.StringIO()
            width = patch.dict(os.environ, COLUMNS=WIDTH)
            with width, contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
                module.main(["--help"])
            lines += [f"## {command.name}", "", _sentence(command.purpose), "", command.notes, ""]
            lines += ["```text", shown.getvalue().rstrip(), "```", ""]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


class Settings(SphinxDirective):
    """The settings of "a2c", of "run", or, without an argument, what every other agent adds to those of a2c."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        chosen = self.arguments or [name for name in registry.NAMES if name != "a2c"]
        lines = [line for name in chosen for line in _settings(name, heading=not self.arguments)]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def _settings(agent: str, heading: bool) -> Iterator[str]:
    """Markdown: a table for each heading of the class. Of agents with a heading, only what differs from a2c."""
    kinds = (RunSettings,) if agent == "run" else registry.kinds(agent)
    types, defaults = setting_types(*kinds), setting_defaults(*kinds)
    known = setting_defaults(*registry.kinds("a2c")) if heading else {}
    said = {name: text for kind in kinds for name, text in documentation(kind).items()}
    if heading:
        lacking = ", ".join(f"`{name}`" for name in known if name not in types)
        but = f"the settings of A2C except {lacking}" if lacking else "the settings of A2C"
        others = "These settings are new or have another default:"
        yield from (f"## `--agent {agent}`", "", f"It takes {but}. {others}", "")
    tables = dict[str, list[str]]()
    for name, kind in types.items():
        if name not in known or known[name] != defaults[name]:
            default = "" if defaults[name] in (dataclasses.MISSING, "") else f"`{text_of(defaults[name])}`"
            cells = (f"`{name}`", said[name].text, default, expected(kind))
            tables.setdefault(said[name].heading, []).append(" | ".join(cell.replace("|", r"\|") for cell in cells))
    for title, rows in tables.items():
        yield from (f"**{title}**", "", "| setting | what it does | default | takes |", "|---|---|---|---|", *rows, "")


def expected(kind: object) -> str:
    """What a setting of this type takes, in the words of its error."""
    if get_origin(kind) is Annotated:
        base, *limits = get_args(kind)
        limit = next(limit for limit in limits if isinstance(limit, Range))
        return f"{expected(base)}, {limit.least} to {limit.most:,}" + ("" if base is int else " long")
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(dict.fromkeys(expected(part) for part in get_args(kind)))
    try:
        convert(object(), kind)
    except ConfigError as error:
        return str(error)
    return "any"


def list_results(app: Sphinx, page: str, text: list[str]) -> None:
    """Adds every page of results to the index of results."""
    if page == RESULTS:
        text[0] += "\n```{toctree}\n:glob:\n:hidden:\n:titlesonly:\n**\n```\n"


def plain_docstring(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Our docstrings are plain text, with `code` in single backticks: escapes what reStructuredText would read."""
    example = False
    for i, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if not example:
            parts = re.split(r"(`[^`]+`)", line)
            parts[::2] = [re.sub(r"([*|_\\])", r"\\\1", part) for part in parts[::2]]
            parts[1::2] = [f"`{part}`" for part in parts[1::2]]
            lines[i] = "".join(parts)


def named_arrays(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Signatures say Array, as the code does, in place of NumPy's parameters."""
    array = r"~?numpy\.ndarray\[.*?dtype\[[^\[\]]*\]\]"
    return signature and re.sub(array, "Array", signature), returns and re.sub(array, "Array", returns)


def link_sources(app: Sphinx, doctree: nodes.document) -> None:
    """Links to source files and folders of the repository lead to pages of the site; other files are downloaded."""
    env = app.env
    links = [*doctree.findall(addnodes.download_reference), *doctree.findall(addnodes.pending_xref)]
    for link in links:
        path = Path(env.relfn2path(link["reftarget"].partition("#")[0], env.docname)[1])
        if link.get("reftype") == "myst" and (path.is_dir() or (path.is_file() and source_of(path) is not None)):
            if env.path2doc(path) and path.is_file():
                continue
            name = f"{SOURCES}/{path.relative_to(app.srcdir)}"
            app.linked_sources |= {path, *(source_files(path) if path.is_dir() else ())}
            uri = relative_uri(app.builder.get_target_uri(env.docname), app.builder.get_target_uri(name))
            link.replace_self(nodes.reference("", "", *link.children, internal=True, refuri=uri))


def source_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, str], str]]:
    """The pages that `link_sources` linked: highlighted files, and lists of the files of a folder."""
    for path in sorted(app.linked_sources):
        name = str(path.relative_to(app.srcdir))
        if path.is_dir():
            links = (f'<li><a href="{path.name}/{file.name}.html">{file.name}</a></li>' for file in source_files(path))
            body = f"<ul>{''.join(links)}</ul>"
        else:
            language = {".py": "python", ".yaml": "yaml", ".json": "json"}.get(path.suffix, "text")
            body = app.builder.highlighter.highlight_block(source_of(path), language)
        title = html.escape(name)
        yield f"{SOURCES}/{name}", {"title": title, "body": f"<h1>{title}</h1>{body}"}, "page.html"


def source_files(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and source_of(path) is not None)


def source_of(path: Path) -> str | None:
    """The text of a file that has a page; None for others."""
    if path.suffix in (".pdf", ".png", ".npz") or path.stat().st_size > LARGEST:
        return None
    return path.read_text(encoding="utf-8")


def redirect(app: Sphinx, error: Exception | None) -> None:
    """index.html leads to the first page, which lies in docs/ as its source does."""
    first = f"{app.config.root_doc}.html"
    page = f'<!doctype html><meta http-equiv="refresh" content="0; url={first}"><a href="{first}">actor-critic</a>'
    (Path(app.outdir) / "index.html").write_text(page, encoding="utf-8")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def setup(app: Sphinx) -> dict[str, bool]:
    app.linked_sources = set[Path]()
    app.add_directive("commands", Commands)
    app.add_directive("pages", Pages)
    app.add_directive("settings", Settings)
    app.connect("source-read", list_results)
    app.connect("autodoc-process-docstring", plain_docstring)
    app.connect("autodoc-process-signature", named_arrays)
    app.connect("doctree-read", link_sources, priority=400)  # before Sphinx collects files to download
    app.connect("html-collect-pages", source_pages)
    app.connect("build-finished", redirect)
    return {"parallel_read_safe": False}
