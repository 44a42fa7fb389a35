"""Hooks of `learn`: the base class, and the events that it receives. See docs/hooks.md."""

from agents.events import Evaluated, Evaluation, Image, Log, Status, Stop
from agents.training import Hook, Training

__all__ = ["Evaluated", "Evaluation", "Hook", "Image", "Log", "Status", "Stop", "Training"]
