"""The kinds of attack: what each tries, and how many there are in the long and the short form."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.stress import (
    command_lines,
    damaged_files,
    hostile,
    interruptions,
    settings_fuzz,
    soak,
    wrong_checkpoints,
    wrong_demonstrations,
)

Attack = Callable[[int, Path], str]
"""(number, folder of the process) → what came of it. The same number is the same attack. Raises what no promise allows:
an exception that is not said in one line, or AssertionError."""


class Kind(NamedTuple):
    attack: Attack
    long: int  # attacks in `make stress`
    short: tuple[int, ...]  # numbers of the attacks in `make test`
    batch: int  # attacks per process
    each: int = 1  # cases per attack
    forks: bool = False  # whether it needs a single-threaded process


_HOSTILE = range(len(hostile.CASES) * len(hostile.WAYS))
_QUICK = tuple(n for n in _HOSTILE[::73] if hostile.WAYS[n % len(hostile.WAYS)][0] != "async")
KINDS = {
    "kills": Kind(interruptions.kill, 240, (13,), 40, forks=True),
    "signals": Kind(interruptions.signal_, 240, (14,), 40, forks=True),
    "full disks": Kind(interruptions.full_disk, 120, (17,), 40, forks=True),
    "hostile environments": Kind(hostile.attack, len(_HOSTILE), (*_QUICK, 9, 86), 100),
    "damaged checkpoints": Kind(damaged_files.checkpoint_bytes, 2_000, tuple(range(30)), 500),
    "wrong checkpoints": Kind(wrong_checkpoints.wrong_content, 4_000, tuple(range(8)), 250),
    "wrong records": Kind(wrong_checkpoints.wrong_records, 2_000, tuple(range(4)), 250),
    "damaged demonstrations": Kind(damaged_files.demonstration_bytes, 2_000, tuple(range(20)), 500),
    "wrong demonstrations": Kind(wrong_demonstrations.wrong_content, 3_000, tuple(range(15)), 250),
    "damaged run files": Kind(damaged_files.run_files, 2_000, tuple(range(4)), 100),
    "damaged settings files": Kind(damaged_files.settings_files, 5_000, tuple(range(100)), 1_000),
    "settings": Kind(settings_fuzz.attack, 1_000, (0,), 50, each=settings_fuzz.EXAMPLES),
    "command lines": Kind(command_lines.attack, 600, tuple(range(12)), 100),
    "soak": Kind(soak.attack, 20, (), 20, each=soak.STEPS),
}
