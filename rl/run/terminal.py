"""Shared by the commands: arguments with one-line errors, exit statuses, and a Ctrl-C that loses nothing."""

import argparse
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn, Self, cast

from tqdm import tqdm

from agents.checkpoint import CheckpointError
from agents.ranks import RankLost
from agents.settings.ranges import Range, Seed
from agents.settings.schema import setting_defaults, suggestion
from agents.settings.values import ConfigError, convert, shown
from agents.training import Hook, Training
from envs import EnvironmentFailure, EnvironmentUsageError
from rl.run.signals import TERMINATED, ignore, raise_on_interrupt, status_of, stop
from rl.run.streams import protect_streams

DONE, FAILED, USAGE = 0, 1, 2
_STOPS = (signal.SIGINT, signal.SIGTERM)
_MAX_SEEDS = 10_000
_GRACE = 5  # seconds until Ctrl-C cuts an iteration off


class RunFailed(RuntimeError):
    """Training cannot continue; the message says why and what was saved."""


MISTAKES = (ConfigError, EnvironmentUsageError, CheckpointError)
FAILURES = (RunFailed, RankLost, EnvironmentFailure, OSError)
ANTICIPATED = (*MISTAKES, *FAILURES)  # reported in one line, without a traceback


def at_least(least: int, most: int = 1_000_000) -> Callable[[str], int]:
    """An argument type: integers from `least` to `most`, both included."""
    return lambda text: cast(int, _converted(text, Annotated[int, Range(least, most)]))


def parse_seed(text: str) -> int:
    """An argument type: a seed."""
    return cast(int, _converted(text, Seed))


def number(text: str) -> float:
    """An argument type: a finite number."""
    return cast(float, _converted(text, float))


def _converted(text: str, kind: object) -> object:
    try:
        return convert(text, kind)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(f"must be {error}, got {shown(text)}") from None


def parse_seeds(text: str) -> list[int]:
    """An argument type: "0-3,7" → [0, 1, 2, 3, 7]."""
    found = list[int]()
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if ends is None:
            raise argparse.ArgumentTypeError(f"takes a range such as 0-9 or a list such as 0,3,7, got {shown(text)}")
        first, last = parse_seed(ends[1]), parse_seed(ends[2] or ends[1])
        if last < first:
            raise argparse.ArgumentTypeError(f"takes ranges from the lower seed to the higher, got {shown(part)}")
        if len(found) + last - first >= _MAX_SEEDS:
            raise argparse.ArgumentTypeError(f"takes at most {_MAX_SEEDS:,} seeds, got {shown(text)}")
        found += range(first, last + 1)
    return list(dict.fromkeys(found))


def file_name(text: str) -> str:
    """An argument type: a name without folders, of at most 200 bytes; an ending and a file system's 255 remain."""
    if text in ("", ".", ".."):
        raise argparse.ArgumentTypeError(f"is the name of files, got {text!r}")
    if "/" in text:
        raise argparse.ArgumentTypeError(f"is the name of files, not a path, got {text!r}")
    if len(os.fsencode(text)) > 200:
        raise argparse.ArgumentTypeError("is the name of files, of at most 200 bytes")
    return text


def file_path(text: str) -> Path:
    """An argument type: a path whose end names a file."""
    path = Path(text)
    if path.name in ("", ".."):
        raise argparse.ArgumentTypeError(f"takes the path of a file, got {text!r}")
    return path


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and name the nearest flag."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)
        self._negative_number_matcher = re.compile(r"-\.?\d")  # as in Python 3.14; earlier, -1e3 is a flag

    def flags(self) -> list[str]:
        """All flags added so far."""
        return [flag for action in self._actions for flag in action.option_strings]

    def command(self, argv: Sequence[str]) -> str:
        """The command line, quoted for a shell."""
        return shlex.join(["python", "-m", self.prog, *argv])

    def add_seeds(self, default: str | None, meaning: str) -> None:
        self.add_argument("--seeds", type=parse_seeds, default=default, metavar="A-B", help=meaning)

    def add_jobs(self, what: str = "runs") -> None:
        meaning = f"{what} in parallel, one thread each (default 2)"
        self.add_argument("--jobs", type=at_least(1), default=2, metavar="J", help=meaning)

    def add_set(self, meaning: str) -> None:
        self.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=meaning)

    def add_out(self, what: str = "run directories") -> None:
        default = Path("results/runs")
        self.add_argument("--out", type=Path, default=default, metavar="DIR", help=f"parent of {what} ({default})")

    def add_results(self, what: str) -> None:
        default = Path("results")
        self.add_argument("--results", type=Path, default=default, metavar="DIR", help=f"parent of {what} ({default})")

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"^argument (--\S+): (?=must |takes |is the )", r"\1 ", message)  # messages of the types above
        words = message.removeprefix("unrecognized arguments: ")
        hint = "" if words == message else self._hint((words.split() or [""])[0].partition("=")[0])
        raise ConfigError(f"{message}{hint or f' (see python -m {self.prog} --help)'}")

    def _hint(self, word: str) -> str:
        """How to give a setting that is not a flag of this command, or the nearest flag."""
        from agents import registry  # imports PyTorch, which not every command needs
        from agents.settings.run import RunSettings

        name = word.removeprefix("--").replace("-", "_")
        every = (setting_defaults(*registry.kinds(agent), RunSettings) for agent in registry.NAMES)
        if "--set" in self.flags() and any(name in settings for settings in every):
            return f"; write --set {name}=VALUE"
        return suggestion(word, self.flags())


def run(main: Callable[[list[str]], int]) -> NoReturn:
    """Runs a command and exits: 0 done; 1 failure; 2 usage or configuration; 130 after Ctrl-C; 143 after SIGTERM.

    Errors are one line on stderr.
    """
    protect_streams()
    try:
        raise_on_interrupt()
        status = main(sys.argv[1:])
    except MISTAKES as error:
        status = _say(USAGE, error)
    except KeyboardInterrupt as stopped:
        ignore()
        status = status_of(stopped)
        print("terminated" if status == TERMINATED else "interrupted", file=sys.stderr)
    except FAILURES as error:
        status = _say(FAILED, error)
    sys.exit(status)


def _say(status: int, error: Exception) -> int:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return status


class Interrupt(Hook):
    """Handles Ctrl-C and SIGTERM while a command trains. `status`: exit status of the first signal, 0 before it.

    A signal raises KeyboardInterrupt at once, except between `defer` and `deliver`: there the first signal ends
    training after the current iteration, and `deliver` raises. A second signal raises at once; so does the first one if
    `deliver` is not reached within five seconds, for instance because an environment hangs.
    """

    def __init__(self) -> None:
        self.status, self._deferring = 0, False
        self._training: Training | None = None

    def __enter__(self) -> Self:
        self._previous = [(number, signal.signal(number, self._on_signal)) for number in _STOPS]
        return self

    def __exit__(self, *_: object) -> None:
        _cancel_alarm()
        for number, handler in self._previous:
            signal.signal(number, handler)

    def on_begin(self, training: Training) -> None:
        self._training = training
        if self.status:
            training.stop("signal")

    def defer(self) -> None:
        self._deferring = True

    def deliver(self) -> None:
        """Raises KeyboardInterrupt if a signal has come since `defer`."""
        self._deferring = False
        _cancel_alarm()
        if self.status:
            self._stop()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        first, self.status = not self.status, self.status or 128 + number
        if self._training is not None:
            self._training.stop("signal")
        if not (first and self._deferring):
            self._stop()
        if hasattr(signal, "alarm"):
            signal.signal(signal.SIGALRM, self._stop)
            signal.alarm(_GRACE)

    def _stop(self, number: int = 0, frame: FrameType | None = None) -> NoReturn:
        stop(self.status - 128)


def _cancel_alarm() -> None:
    if hasattr(signal, "alarm"):
        signal.alarm(0)


@contextmanager
def evaluation_bar(episodes: int) -> Iterator[Callable[[int, int], None]]:
    """Yields a `watch` for an evaluation, which shows the finished episodes and the steps taken."""
    with tqdm(total=episodes, desc="evaluating", unit=" episodes", disable=None, leave=False) as bar:
        shown = time.monotonic()

        def show(ended: int, steps: int) -> None:
            nonlocal shown
            if not bar.disable and time.monotonic() - shown > 0.5:
                shown, bar.n = time.monotonic(), ended
                bar.set_postfix_str(f"{steps:,} steps")

        yield show
