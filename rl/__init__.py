"""Actor-critic reinforcement learning: maths, the training loop, records, and the commands `python -m rl.…`."""

from rl.config import ConfigError
from rl.evaluation import Evaluation, evaluate

__version__ = "0.1.0"
__all__ = ["ConfigError", "Evaluation", "evaluate"]
