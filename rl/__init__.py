"""Actor-critic reinforcement learning: maths, the training loop, records, and the commands `python -m rl.…`."""

from agents.evaluation import Evaluation, evaluate
from agents.settings.values import ConfigError

__version__ = "0.1.0"

__all__ = ["ConfigError", "Evaluation", "evaluate"]
