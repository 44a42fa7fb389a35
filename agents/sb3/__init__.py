"""Conversion between our A2C and Stable-Baselines3's: settings, parameters, optimizer state, normalizers.

Importing this package imports Stable-Baselines3, which takes two seconds.
"""

from agents.sb3.convert import from_sb3, to_sb3
from agents.sb3.model import build, check_settings

__all__ = ["build", "check_settings", "from_sb3", "to_sb3"]
