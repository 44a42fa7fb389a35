"""`python -m rl.baseline ENV`: trains Stable-Baselines3's A2C or PPO, with our settings and run directories."""

from rl.experiments.baseline import main
from rl.run.terminal import run

__all__ = ["main"]

if __name__ == "__main__":
    run(main)
