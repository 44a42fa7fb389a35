"""Demonstrations: what somebody did in an environment, recorded, kept and checked. See docs/demonstrations.md."""

from rl.demonstrations.data import DemonstrationError, Demonstrations
from rl.demonstrations.files import load, save, target
from rl.demonstrations.minari import from_minari
from rl.demonstrations.recording import record

__all__ = ["DemonstrationError", "Demonstrations", "from_minari", "load", "record", "save", "target"]
