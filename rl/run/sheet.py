"""A sheet of text, bars and curves, drawn from top to bottom with Pillow: ten times faster than matplotlib."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

PAPER, INK, GRAY, FAINT = "#ffffff", "#1a1a1a", "#6b6b6b", "#e4e4e4"
LINE = 20  # pixels from one line of text to the next
_MARGIN = 14
_FINE = 2  # drawn at twice the size, then reduced, since Pillow does not smooth lines


class Bar(NamedTuple):
    """A bar from `low` to `high`, both in [0, 1], between a label and a number."""

    label: str
    number: str
    low: float
    high: float
    mark: float | None  # position of a tick
    strong: bool


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    from matplotlib import get_data_path  # DejaVu Sans, which has Greek letters, ships with matplotlib

    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size * _FINE)


class Sheet:
    """y: top of the next line, in pixels."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height, self.y = width, height, _MARGIN
        self._image = Image.new("RGB", (width * _FINE, height * _FINE), PAPER)
        self._draw = ImageDraw.Draw(self._image)
        self._box(0, 0, 0.5, height, FAINT)

    @property
    def left(self) -> int:
        """Pixels between the last line and the bottom margin."""
        return self.height - _MARGIN - self.y

    def image(self, height: int) -> Image.Image:
        """The sheet, scaled to this height in pixels."""
        if height == self.height:
            return self._image.reduce(_FINE)  # ten times faster than resizing
        return self._image.resize((round(self.width * height / self.height), height), Image.Resampling.LANCZOS)

    def skip(self, pixels: int) -> None:
        self.y += pixels

    def text(self, left: str, right: str = "", color: str = INK, size: int = 13) -> None:
        self._write(_MARGIN, left, "la", color, size)
        self._write(self.width - _MARGIN, right, "ra", color, size)
        self.y += LINE

    def bar(self, bar: Bar, color: str, strong: str) -> None:
        """strong: the color of the tick, and of a strong bar."""
        begin, end = _MARGIN + 34, self.width - _MARGIN - 92
        at = [begin + (end - begin) * min(max(x, 0.0), 1.0) for x in (bar.low, bar.high)]
        self._write(_MARGIN, bar.label, "la", INK, 12)
        self._box(begin, self.y + 3, end, self.y + 13, FAINT)
        self._box(at[0], self.y + 3, max(at[1], at[0] + 1), self.y + 13, strong if bar.strong else color)
        if bar.mark is not None:
            tick = begin + (end - begin) * min(max(bar.mark, 0.0), 1.0)
            self._box(tick - 1, self.y, tick + 1, self.y + 16, strong)
        self._write(self.width - _MARGIN, bar.number, "ra", INK, 12)
        self.y += LINE

    def curve(self, title: str, values: Sequence[float], color: str, height: int, points: int) -> None:
        """The latest value as text, and a curve of at most `points` values; its axis includes zero."""
        self.text(title, f"{values[-1]:+.3g}" if values else "")
        low, high = min(0.0, *values, 0.0), max(0.0, *values, 0.0)
        span = (high - low) or 1.0
        x = _MARGIN + np.arange(len(values)) * (self.width - 2 * _MARGIN) / (points - 1)
        y = self.y + height - (np.array([0.0, *values]) - low) / span * height
        self._line([(_MARGIN, float(y[0])), (self.width - _MARGIN, float(y[0]))], FAINT, 1)
        if len(values) > 1:
            self._line([*zip(x.tolist(), y[1:].tolist(), strict=True)], color, 2)
        self.y += height

    def _write(self, x: int, text: str, anchor: str, color: str, size: int) -> None:
        self._draw.text((x * _FINE, self.y * _FINE), text, color, _font(size), anchor)

    def _box(self, x0: float, y0: float, x1: float, y1: float, color: str) -> None:
        self._draw.rectangle((x0 * _FINE, y0 * _FINE, x1 * _FINE, y1 * _FINE), color)

    def _line(self, points: Sequence[tuple[float, float]], color: str, width: int) -> None:
        self._draw.line([(x * _FINE, y * _FINE) for x, y in points], color, width * _FINE, "curve")
