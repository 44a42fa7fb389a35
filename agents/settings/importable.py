"""Imports functions and classes that settings name as module:Name, and finds their names."""

import re
from importlib import import_module
from operator import attrgetter

NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def imported(name: str) -> object:
    """The object that "module:Name" names. Raises ImportError, AttributeError, or what the module's import raises."""
    module, _, attribute = name.partition(":")
    return attrgetter(attribute)(import_module(module))


def name_of(value: object) -> str | None:
    """The "module:Name" that imports this function or class; None if none does, as for lambdas and local functions."""
    name = f"{getattr(value, '__module__', '')}:{getattr(value, '__qualname__', '')}"
    try:
        return name if NAME.fullmatch(name) and imported(name) is value else None
    except (ImportError, AttributeError):
        return None
