"""The documentation of each setting in the source: the comment beside it and the heading above it."""

import ast
import dataclasses
import inspect
import io
import tokenize
from textwrap import dedent
from typing import NamedTuple


class Documented(NamedTuple):
    heading: str  # the comment on a line of its own above the setting, or the name of the class
    text: str  # the comment beside the setting


def documentation(cls: type) -> dict[str, Documented]:
    """Setting → its documentation in the class and its bases; a setting keeps the heading of its first class."""
    found = dict[str, Documented]()
    for base in reversed(cls.__mro__):
        if dataclasses.is_dataclass(base):
            for name, said in _own(base).items():
                first = found.get(name, said)
                found[name] = Documented(first.heading, said.text or first.text)
    return found


def _own(cls: type) -> dict[str, Documented]:
    """For the settings that the class itself declares; empty if its source cannot be read."""
    try:
        source = dedent(inspect.getsource(cls))
    except (OSError, TypeError):
        return {}
    lines, comments = source.splitlines(), dict[int, str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            comments[token.start[0]] = token.string.lstrip("# ")
    headings = [line for line in comments if lines[line - 1].lstrip().startswith("#")]
    body = next(node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)).body
    found = dict[str, Documented]()
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            above = [line for line in headings if line < node.lineno]
            beside = [comments[n] for n in range(node.lineno, (node.end_lineno or node.lineno) + 1) if n in comments]
            found[node.target.id] = Documented(comments[above[-1]] if above else cls.__name__, " ".join(beside))
    return found
