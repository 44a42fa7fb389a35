"""YAML without aliases, duplicate keys and deep nesting, so that reading settings takes bounded time.

Numbers are decimal: YAML 1.1 would read 010 as 8 and 1:30 as 90.
"""

import re
from typing import Protocol

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

MAX_DEPTH = 20  # nesting of lists and mappings
_LEAKS = (ValueError, TypeError, LookupError, AttributeError, RecursionError)  # raised by PyYAML's constructors


class NotSettings(ValueError):
    """The text is not YAML, or uses unsupported features; the message says what and where."""


def parse_yaml(text: str) -> object:
    """The single document in a text. Raises NotSettings with a one-line message."""
    try:
        return yaml.load(text, _Loader)
    except NotSettings:
        raise
    except _LEAKS as error:
        raise NotSettings(f"{type(error).__name__}: {' '.join(str(error).split())}") from None
    except yaml.YAMLError as error:
        problem, mark = (getattr(error, name, None) for name in ("problem", "problem_mark"))
        raise _refusal(problem or "syntax error", mark) from None


def parse_text(text: str) -> object:
    """A mapping, or a list whose brackets may be omitted; None for an empty text."""
    return parse_yaml(text if text.lstrip()[:1] in ("[", "{") else f"[{text}]") if text else None


def parse_names(text: str) -> object:
    """Like `parse_text`, but a comma within brackets is part of a name: ResizeObservation:shape=[84,84]."""
    try:
        parsed = parse_text(text)
        if not isinstance(parsed, list) or all(_depth(str(name)) == 0 for name in parsed):
            return parsed
    except NotSettings:
        if _depth(text) or "=" not in text:
            raise
    inner, names, depth = text.strip(), [""], 0
    for letter in inner[1:-1] if inner.startswith("[") else inner:
        depth += _depth(letter)
        if letter == "," and not depth:
            names.append("")
        else:
            names[-1] += letter
    return [name.strip() for name in names]


def _depth(text: str) -> int:
    """The number of unclosed brackets in a text."""
    return sum((letter in "[({") - (letter in "])}") for letter in text)


class _Mark(Protocol):
    @property
    def line(self) -> int: ...


class _Loader(yaml.SafeLoader):
    """Rejects what SafeLoader accepts: duplicate keys, silently, and nested aliases, in exponential time."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def construct_yaml_int(self, node: ScalarNode) -> int:
        return int(str(node.value).replace("_", ""))

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refusal(f"*{event.anchor} is an alias, not allowed here: write the value out", event.start_mark)
        if self._depth > MAX_DEPTH:
            raise _refusal(f"lists and mappings are nested more than {MAX_DEPTH} deep", event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[object, object]:
        keys = set[object]()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in keys:
                raise _refusal(f"key {key!r} given twice", key_node.start_mark)
            keys.add(key)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":int", ":float"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?[0-9][0-9_]*$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?$"
        r"|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
    ),
    list("-+0123456789."),
)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def _refusal(problem: str, mark: _Mark | None) -> NotSettings:
    return NotSettings(problem if mark is None else f"{problem} at line {mark.line + 1}")
