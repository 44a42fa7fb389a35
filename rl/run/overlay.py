"""Draws an actor-critic's outputs beside the frames of a film: π(·|s), V(s) and δ."""

from collections import deque

import numpy as np
from gymnasium import spaces
from PIL import Image
from torch import Tensor

from agents.agent import Agent
from agents.episodes import EpisodeStep
from agents.maths.distributions import Bernoulli, BoundedGaussian, Categorical, DiagonalGaussian, MultiCategorical
from rl.run.figure import BLUE, ORANGE, PINK, SKY
from rl.run.readings import Reader, Reading
from rl.run.rendering import Frame, Played
from rl.run.sheet import GRAY, LINE, Bar, Sheet

_SIZE = (300, 400)  # width and height of the panel in pixels; scaled to fit a taller frame
_BARS = 8  # at most; the text below the bars counts the rest
_POINTS = 150  # steps shown in a curve
_FREE = 3.0  # an unbounded action is drawn in [−_FREE, _FREE]


class Plain:
    """A `Draw` that only resizes. height: in pixels; None keeps the frame as it is."""

    def __init__(self, height: int | None = None) -> None:
        self._height = height

    def __call__(self, frame: Frame, step: EpisodeStep | None, played: Played) -> Frame:
        return frame if self._height is None else resized(frame, self._height)


class Overlay:
    """A `Draw` that adds a panel: return, π(·|s) with the chosen action, and V(s) and δ over the latest steps.

    Raises ConfigError as `Reader` does.
    """

    def __init__(self, agent: Agent, height: int | None = None) -> None:
        self._read, self._height, self._actions = Reader(agent), height, agent.worlds.policy_action_space
        self._v, self._delta = deque[float](maxlen=_POINTS), deque[float](maxlen=_POINTS)
        self._sheet = Sheet(*_SIZE)

    def __call__(self, frame: Frame, step: EpisodeStep | None, played: Played) -> Frame:
        if step is not None:
            reading = self._read(step)
            self._v.append(reading.v)
            self._delta.append(reading.delta)
            self._sheet = self._drawn(reading, played)
        else:  # final state of an episode: the panel of the last step stays
            self._v.clear()
            self._delta.clear()
        height = self._height or max(frame.shape[0], _SIZE[1])
        return np.hstack([resized(frame, height), np.asarray(self._sheet.image(height))])

    def _drawn(self, reading: Reading, played: Played) -> Sheet:
        sheet, bars = Sheet(*_SIZE), bars_of(reading, self._actions)
        sheet.text(f"step {played.length:,}", f"return {played.ret:,.1f}", size=15)
        sheet.skip(10)
        sheet.text("π(·|s)", f"entropy {float(reading.pi.entropy()):.2f} nats", GRAY)
        for bar in bars[:_BARS]:
            sheet.bar(bar, SKY, ORANGE)
        if len(bars) > _BARS:
            sheet.text(f"and {len(bars) - _BARS} more actions", color=GRAY)
        sheet.skip(10)
        height = sheet.left // 2 - LINE - 5
        sheet.curve("V(s)", self._v, BLUE, height, _POINTS)
        sheet.skip(10)
        sheet.curve("δ", self._delta, PINK, height, _POINTS)
        return sheet


def bars_of(reading: Reading, actions: spaces.Space[object]) -> list[Bar]:
    """One bar per probability, the chosen action in a strong color; or, for a Gaussian, μ ± σ per action dimension with
    a tick at the action taken.

    actions: the policy's action space; an unbounded action is drawn between −3 and 3.
    """
    pi, chosen = reading.pi, reading.action[0]
    if isinstance(pi, Categorical):
        return _probabilities(pi.log_p[0].exp(), int(chosen), "")
    if isinstance(pi, MultiCategorical):
        factors = zip(pi.factors, chosen.tolist(), strict=True)
        return [bar for i, (one, a) in enumerate(factors) for bar in _probabilities(one.log_p[0].exp(), a, f"{i}:")]
    if isinstance(pi, Bernoulli):
        ones = zip(pi.logits[0].sigmoid().tolist(), chosen.tolist(), strict=True)
        return [Bar(f"{i} = 1", f"{p:.2f}", 0.0, p, None, bool(bit)) for i, (p, bit) in enumerate(ones)]
    assert isinstance(pi, DiagonalGaussian | BoundedGaussian)
    assert isinstance(actions, spaces.Box)
    return _gaussian(pi, chosen, actions)


def _probabilities(p: Tensor, chosen: int, prefix: str) -> list[Bar]:
    return [Bar(f"{prefix}{a}", f"{x:.2f}", 0.0, x, None, a == chosen) for a, x in enumerate(p.tolist())]


def _gaussian(pi: DiagonalGaussian | BoundedGaussian, chosen: Tensor, actions: spaces.Box) -> list[Bar]:
    std = pi.log_std.exp()
    ends = [pi.mean - std, pi.mean, pi.mean + std]
    if isinstance(pi, BoundedGaussian):  # the interval of u, transformed to action units
        ends = [pi.scaled(end.tanh()) for end in ends]
    below, middle, above = (end[0].tolist() for end in ends)
    bars = []
    for i, (low, high, a) in enumerate(zip(actions.low.flat, actions.high.flat, chosen.tolist(), strict=True)):
        first, last = (float(low), float(high)) if np.isfinite([low, high]).all() else (-_FREE, _FREE)
        from_, to, mark = ((x - first) / ((last - first) or 1.0) for x in (below[i], above[i], a))
        number = f"{middle[i]:+.2f} ± {(above[i] - below[i]) / 2:.2f}"
        bars.append(Bar(str(i), number, from_, to, mark, False))
    return bars


def resized(frame: Frame, height: int) -> Frame:
    """Enlarges small frames, such as Atari's, without smoothing."""
    if frame.shape[0] == height:
        return frame
    width = round(frame.shape[1] * height / frame.shape[0])
    method = Image.Resampling.NEAREST if 2 * frame.shape[0] <= height else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(frame).resize((width, height), method))
