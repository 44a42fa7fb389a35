"""Seeds on the command line: ranges and lists, of bounded size."""

from argparse import ArgumentTypeError

import pytest

from rl.run.terminal import parse_seeds


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0-3,7", [0, 1, 2, 3, 7]), ("5", [5]), ("3,1,3", [3, 1]), ("4294967295", [2**32 - 1]), ("2-2", [2])],
)
def test_seeds(text: str, expected: list[int]) -> None:
    assert parse_seeds(text) == expected
    assert len(parse_seeds("0-9999")) == 10_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0-99999999999", "must be at most 4,294,967,295, got 99999999999"),
        ("0-10000", "takes at most 10,000 seeds, got '0-10000'"),
        ("0-6000,0-6000", "takes at most 10,000 seeds"),
        ("9-0", "takes ranges from the lower seed to the higher, got '9-0'"),
        ("9-0,3", "takes ranges from the lower seed to the higher, got '9-0'"),
        ("0-1-2", "takes a range such as 0-9 or a list such as 0,3,7, got '0-1-2'"),
        ("-1", "takes a range"),
        ("", "takes a range"),
        ("1,,2", "takes a range"),
        ("9" * 5000, "must be a whole number, got '99"),
    ],
)
def test_refused(text: str, words: str) -> None:
    with pytest.raises(ArgumentTypeError) as raised:
        parse_seeds(text)
    assert words in str(raised.value)
    assert len(str(raised.value)) < 200
