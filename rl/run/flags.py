"""A flag for every setting of an agent and a run, such as `--gamma 0.98`, with groups, defaults and help texts."""

import dataclasses
from argparse import Namespace
from collections.abc import Sequence
from typing import Literal, get_args, get_origin

from agents import registry
from agents.settings.documentation import Documented, documentation
from agents.settings.run import RunSettings
from agents.settings.schema import setting_defaults, setting_types
from agents.settings.values import text_of
from rl.run.terminal import Parser

_MARK = "setting:"  # prefix of the attributes of the parsed arguments
_HELP = ("-h", "--help")


def add_settings(parser: Parser, argv: Sequence[str]) -> None:
    """Adds the flags of the agent that argv names. Parses the help texts from the sources only if argv asks for help.

    A setting whose name is a flag of the command gets no flag of its own; use --set.
    Raises ConfigError if the agent cannot be imported.
    """
    chooser = Parser(parser.prog, "")
    chooser.add_argument("--agent")
    chosen, _ = chooser.parse_known_args([word for word in argv if word not in _HELP])
    kinds = (*registry.kinds(chosen.agent or "a2c"), RunSettings)
    defaults, taken = setting_defaults(*kinds), set(parser.flags())
    said = _said(kinds) if {*_HELP} & {*argv} else {}
    headings = dict.fromkeys(said[name].heading for name in defaults if name in said)
    groups = {heading: parser.add_argument_group(heading) for heading in headings}
    for name, kind in setting_types(*kinds).items():
        flag = flag_of(name)
        if flag in taken:
            continue
        into = groups[said[name].heading] if name in said else parser
        words = _words(said[name].text, kind, defaults[name]) if name in said else None
        dest = _MARK + name
        if kind is bool:
            into.add_argument(flag, dest=dest, nargs="?", const="true", metavar=_metavar(kind), help=words)
        else:
            into.add_argument(flag, dest=dest, metavar=_metavar(kind), help=words)


def given_settings(args: Namespace) -> dict[str, str]:
    """Setting → the text given with its flag; only flags that were given."""
    found = {key.removeprefix(_MARK): text for key, text in vars(args).items() if key.startswith(_MARK)}
    return {name: text for name, text in found.items() if text is not None}


def flag_of(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _said(kinds: Sequence[type]) -> dict[str, Documented]:
    said = dict[str, Documented]()
    for kind in kinds:
        said |= documentation(kind)
    return said


def _words(text: str, kind: object, default: object) -> str:
    choices = get_args(kind) if get_origin(kind) is Literal and len(get_args(kind)) > _FEW else ()
    parts = [text] if text else []
    parts += [f"({', '.join(choices)})"] if choices else []
    if default is not dataclasses.MISSING:
        parts.append(f"(default {f'{default:g}' if isinstance(default, float) else text_of(default)})")
    return " ".join(parts).replace("%", "%%")


_FEW = 4
_METAVARS: dict[object, str] = {
    int: "N", float: "X", bool: "true|false", str: "TEXT", tuple: "LIST", dict: "MAP", Literal: "NAME",
}  # fmt: skip


def _metavar(kind: object) -> str:
    """What --help shows for a value of this type; for a union, that of its first type."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal and len(inner) <= _FEW:
        return "|".join(inner)
    return _METAVARS.get(origin or kind) or (_metavar(inner[0]) if inner else "VALUE")
