"""The sentence with which each comparison in results/ begins."""

from collections.abc import Iterable
from typing import NamedTuple


class Question(NamedTuple):
    """What a comparison asks."""

    name: str  # of the comparison
    text: str
    lines: tuple[str, ...]  # labels of the lines of which the text speaks


_SEARCH = ("defaults", "best of 40 trials")
_QUESTIONS = (
    Question(
        "comparison",
        """Our A2C and Stable-Baselines3's, updating after every step and after every five steps, with the other
        defaults of Stable-Baselines3 on both sides; and our recipe, which has its own settings.""",
        ("ours, 1 step", "SB3, 1 step", "ours, 5 steps", "SB3, 5 steps", "ours, recipe"),
    ),
    Question("recipe", "Our recipe alone, trained for its own number of steps.", ("ours, recipe",)),
    Question(
        "engines",
        """The fused engine and the torch engine, updating after every step and after every five steps, with the other
        defaults of Stable-Baselines3.""",
        ("fused, 1 step", "torch, 1 step", "fused, 5 steps", "torch, 5 steps"),
    ),
    Question(
        "learning-rate",
        "Constant and adaptive learning rates, starting from a good value and from ten times that value.",
        ("constant 7e-4", "adaptive from 7e-4", "constant 7e-3", "adaptive from 7e-3"),
    ),
    Question(
        "entropy",
        """No entropy bonus; a constant bonus; and a bonus whose coefficient adapts to keep the entropy above a
        falling target.""",
        ("no bonus", "constant 0.01", "target 0.6 → 0.05"),
    ),
    Question(
        "search-check",
        """Does a search help? The defaults beside the best of 40 trials, which two tuning seeds scored; both on fresh
        seeds.""",
        _SEARCH,
    ),
    Question(
        "search-6-check",
        """Does a search help? The defaults beside the best of 40 trials, which six tuning seeds scored; both on fresh
        seeds.""",
        _SEARCH,
    ),
    Question(
        "ppo",
        "Our PPO and Stable-Baselines3's, both with the defaults of Stable-Baselines3.",
        ("ours, PPO", "SB3, PPO"),
    ),
    Question(
        "trust-region",
        """PPO with its clipped objective, and with four bounds on the KL divergence instead of the clip. The divergence
        is computed exactly or estimated from samples; an update that exceeds the bound stops, or its last step is
        shortened, or a penalty in the loss keeps it near a target.""",
        ("clip", "exact KL, stop", "exact KL, shorten", "exact KL, penalty", "sampled KL, stop"),
    ),
    Question("gpu", "PPO that learns from images, trained on a GPU.", ("PPO",)),
    Question(
        "streaming",
        "Streaming actor-critic, which has one environment and updates after every step, beside A2C.",
        ("stream", "A2C, recipe"),
    ),
    Question(
        "streaming",
        "Streaming actor-critic, which has one environment and updates after every step, after two numbers of steps.",
        ("stream, 200,000 steps", "stream, 1,000,000 steps"),
    ),
    Question("streaming-parts", "Streaming actor-critic with one part changed or left out.", ("stream", "λ = 0.8")),
)


def question(name: str, lines: Iterable[str]) -> str:
    """The first sentence of a comparison; empty if it is not one of ours. lines: the labels of its lines.

    A user's comparison of the same name has other lines, of which our sentence would not be true.
    """
    labels = {*lines}
    return next((each.text for each in _QUESTIONS if each.name == name and labels.issuperset(each.lines)), "")
