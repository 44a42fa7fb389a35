"""`python -m rl.train ENV`: trains an agent, evaluates it, and leaves a run directory."""

from rl.run.terminal import run
from rl.run.training import main

__all__ = ["main"]

if __name__ == "__main__":
    run(main)
