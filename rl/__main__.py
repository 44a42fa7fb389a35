"""`actor-critic COMMAND …`: runs a command, as `python -m rl.COMMAND …` does; without a command, lists them.

The packages of this project take precedence over folders of the same names in the working directory.
"""

import ast
import os
import runpy
import sys
from pathlib import Path
from typing import NamedTuple

from rl import __version__
from rl.run.signals import exit_on_interrupt
from rl.run.streams import protect_streams


class Command(NamedTuple):
    name: str
    arguments: str  # as in the first line of the module's docstring, such as "ENV"
    purpose: str  # one line
    notes: str  # the rest of the docstring


def commands() -> list[Command]:
    """The commands: the files directly in rl/, described by their docstrings, without importing them."""
    found = []
    for file in sorted(Path(__file__).parent.glob("[!_]*.py")):
        text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        line, _, notes = text.partition("\n")
        called, _, purpose = line.partition(": ")
        arguments = called.strip("`").partition(f"rl.{file.stem}")[2]
        found.append(Command(file.stem, arguments.strip(), purpose, notes.strip()))
    return found


def main() -> None:
    """Exits with 0 after the list or --version, with 2 for an unknown command, otherwise with the command's status."""
    exit_on_interrupt()
    protect_streams()
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        print(_listing())
    elif name == "--version":
        print(f"actor-critic {__version__}")
    elif name not in (known := [command.name for command in commands()]):
        _refuse(name, known)
    else:
        sys.path.append(os.getcwd())  # the user's own modules can be imported, as with `python -m`
        del sys.argv[0]
        runpy.run_module(f"rl.{name}", run_name="__main__", alter_sys=True)


def _listing() -> str:
    rows = [(f"{command.name} {command.arguments}".strip(), command.purpose) for command in commands()]
    width = max(len(called) for called, _ in rows)
    lines = [f"  {called:{width}}  {purpose}" for called, purpose in rows]
    return "\n".join(["usage: actor-critic COMMAND …; actor-critic COMMAND --help explains one", "", *lines])


def _refuse(name: str, known: list[str]) -> None:
    from agents.settings.schema import suggestion  # takes seconds

    print(f"error: {name!r} is not a command{suggestion(name, known) or '; actor-critic lists them'}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
