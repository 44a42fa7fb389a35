"""Paragraphs and rows of the Markdown that commands write."""

import textwrap
from collections.abc import Sequence


def paragraph(text: str) -> str:
    """Broken into lines of at most 116 characters."""
    return textwrap.fill(" ".join(text.split()), 116, break_long_words=False, break_on_hyphens=False)


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def rule(words: int, numbers: int) -> str:
    """Below the head of a table: columns of words to the left, columns of numbers to the right."""
    return f"|{'---|' * words}{'---:|' * numbers}"
