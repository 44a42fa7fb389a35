"""Stable-Baselines3 beside us: its A2C from our settings; weights and optimizer converted both ways.

Importing this imports Stable-Baselines3, which takes two seconds.
"""

from agents.sb3.convert import from_sb3, to_sb3
from agents.sb3.model import build, check_settings

__all__ = ["build", "check_settings", "from_sb3", "to_sb3"]
