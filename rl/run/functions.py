"""Functions that have the name of a command: `rl.evaluate(…)` beside `python -m rl.evaluate`."""

import sys
from collections.abc import Callable
from types import ModuleType


def keep_callable(module: str, function: Callable[..., object]) -> None:
    """Importing the module of a command then leaves its name callable: the module stands in for the function.

    module: its `__name__`; nothing happens where it runs as the command.
    """

    class Command(ModuleType):
        __call__ = staticmethod(function)

    if module in sys.modules and module != "__main__":
        sys.modules[module].__class__ = Command
