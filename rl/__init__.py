"""Everything that is run: the commands `python -m rl.…`, run directories, experiments."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from rl.run.signals import exit_on_interrupt

if sys.argv[:1] == ["-m"]:  # while Python looks for the command of `python -m rl.…`; the imports below take seconds
    exit_on_interrupt()

from agents.evaluation import Evaluation, evaluate
from agents.settings.values import ConfigError
from rl.experiments.lines import plot

__version__ = "0.1.0"
__all__ = ["ConfigError", "Evaluation", "evaluate", "plot"]

MOVED = {f"rl.{name}": f"agents.{name}" for name in ("demonstrations", "loop", "rollout")} | {
    "rl.distributions": "agents.maths.distributions",
}  # documented modules, by their names of version 0.1.0


class _MovedModules(MetaPathFinder, Loader):
    """Finds a moved module under its former name, which then holds the same objects."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        present = vars(import_module(MOVED[module.__name__]))
        vars(module).update({name: value for name, value in present.items() if not name.startswith("__")})


sys.meta_path.append(_MovedModules())
