"""Demonstrations: recorded episodes for imitation learning. See docs/demonstrations.md."""

from agents.demonstrations.data import DemonstrationError, Demonstrations
from agents.demonstrations.files import load, save, target
from agents.demonstrations.minari import from_minari
from agents.demonstrations.recording import record

__all__ = ["DemonstrationError", "Demonstrations", "from_minari", "load", "record", "save", "target"]
