"""Environments that no recipe is made for, and by how much training at the defaults must beat random actions in each.

A margin is a quarter, rounded up, of the way from uniformly random actions to a score that stands for success. It was
written down when only random actions had been played, before any of the runs that it judges. Settings are only those
without which an environment cannot be trained, or is another; hyper-parameters and steps are the package's defaults.
"""

from typing import NamedTuple

import gymnasium as gym


class Challenge(NamedTuple):
    """What one environment asks for, and what counts as an improvement."""

    asks: str  # in a few words
    margin: float  # over the mean return of random actions
    reason: str  # for the margin
    settings: tuple[str, ...] = ()  # KEY=VALUE


def _newest(*ids: str) -> str:
    """The first of these that this Gymnasium has."""
    return next((env_id for env_id in ids if env_id in gym.registry), ids[0])


CHALLENGES = {
    "Blackjack-v1": Challenge(
        "Tuple observations", 0.15, "nearly half of the way to -0.05, perfect play; a quarter is noise in 100 episodes"
    ),
    _newest("Taxi-v4", "Taxi-v3"): Challenge(
        "Discrete observations, action masks", 50.0, "a quarter of the way to 8, its reward threshold"
    ),
    "FrozenLake-v1": Challenge(
        "Discrete observations, sparse rewards", 0.2, "a quarter of the way to 0.7, its reward threshold"
    ),
    _newest("CliffWalking-v1", "CliffWalking-v0"): Challenge(
        "Discrete observations, no time limit", 15_000.0, "a quarter of the way to -13, the shortest path"
    ),
    "envs.probes:GridWorld-v0": Challenge("Dict observations", 0.2, "a quarter of the way to 1, always at the target"),
    "envs.probes:TicTacToe-v0": Challenge(
        "MultiDiscrete observations, action masks", 0.2, "a quarter, rounded up, of the way to 1, every game won"
    ),
    "minigrid:MiniGrid-Empty-5x5-v0": Challenge(
        "images of 7 × 7 × 3", 0.2, "a quarter of the way to 0.955, the shortest path",
        ("wrappers=[minigrid.wrappers:ImgObsWrapper]",),  # its own observations hold text
    ),
    "flappy_bird_gymnasium:FlappyBird-v0": Challenge(
        "180 distances, no time limit", 4.0, "a quarter of the way to about 8, one pipe passed"
    ),
    "InvertedPendulum-v5": Challenge("continuous actions", 240.0, "a quarter of the way to 950, its reward threshold"),
    "Reacher-v5": Challenge("continuous actions", 10.0, "a quarter of the way to -3.75, its reward threshold"),
    "gymnasium:LunarLander-v3": Challenge(  # by its module, since the bare id finds the recipe for discrete actions
        "continuous actions by env_kwargs", 105.0, "a quarter of the way to 200, its reward threshold",
        ("env_kwargs={continuous: true}",),
    ),
}  # by id  # fmt: skip
