"""Stable-Baselines3 beside us: its A2C as a baseline, and weights and optimizer carried both ways.

Importing this imports Stable-Baselines3, which takes two seconds.
"""

from agents.sb3.baseline import learn
from agents.sb3.carry import from_sb3, to_sb3
from agents.sb3.model import build, check_settings

__all__ = ["build", "check_settings", "from_sb3", "learn", "to_sb3"]
