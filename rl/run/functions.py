"""Functions named like a command: `rl.evaluate(…)` beside `python -m rl.evaluate`."""

import sys
from collections.abc import Callable
from types import ModuleType


def keep_callable(module: str, function: Callable[..., object]) -> None:
    """Makes a command's module callable, so that importing it does not replace the function of the same name.

    module: its `__name__`. Does nothing if the module runs as the command.
    """

    class Command(ModuleType):
        __call__ = staticmethod(function)

    if module in sys.modules and module != "__main__":
        sys.modules[module].__class__ = Command
