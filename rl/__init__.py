"""Commands (`python -m rl.…`), run directories and experiments."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

from rl.run.shadows import refuse_shadows
from rl.run.signals import exit_on_interrupt

if sys.argv[:1] == ["-m"]:  # while Python resolves `python -m rl.COMMAND`; the command's imports take seconds
    exit_on_interrupt()
refuse_shadows()

if TYPE_CHECKING:
    from agents.evaluation import Evaluation, evaluate
    from agents.settings.values import ConfigError
    from rl.experiments.lines import plot

__version__ = "0.2.0"
__all__ = ["ConfigError", "Evaluation", "evaluate", "plot"]

_OFFERED = {
    "ConfigError": "agents.settings.values",
    "Evaluation": "agents.evaluation",
    "evaluate": "agents.evaluation",
    "plot": "rl.experiments.lines",
}


def __getattr__(name: str) -> object:
    """Imports the names in `__all__` at first use: that takes seconds, and `actor-critic` alone needs none of them."""
    if name not in _OFFERED:
        raise AttributeError(f"module 'rl' has no attribute {name!r}")
    return getattr(import_module(_OFFERED[name]), name)


MOVED = {f"rl.{name}": f"agents.{name}" for name in ("demonstrations", "loop", "rollout")} | {
    "rl.distributions": "agents.maths.distributions",
}  # modules documented in version 0.1.0 → where they are now


class _MovedModules(MetaPathFinder, Loader):
    """Finds a moved module under its former name; that module holds the same objects."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        present = vars(import_module(MOVED[module.__name__]))
        vars(module).update({name: value for name, value in present.items() if not name.startswith("__")})


sys.meta_path.append(_MovedModules())
