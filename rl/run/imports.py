"""Prints the modules that loading a checkpoint imports, before it imports them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import cast

from agents import checkpoint
from agents.checkpoint import Checkpoint
from agents.settings.values import ConfigError, convert


def name_imports(read: Checkpoint) -> None:
    """The modules that loading this checkpoint imports; with a wrapper's, also those that its teachers name."""
    _print([*read.imports(), *([] if read.wraps is None else _of_sources(read.settings))])


def name_imports_of_sources(settings: Mapping[str, object]) -> None:
    """The modules that the checkpoints in `warm_start` and `teachers` name."""
    _print(_of_sources(settings))


def _of_sources(settings: Mapping[str, object]) -> list[str]:
    """Nothing for a file that cannot be read: loading it raises the error."""
    runs = [settings.get("warm_start")]
    with suppress(ConfigError):
        runs += cast("tuple[str, ...]", convert(settings.get("teachers", ()), tuple[str, ...]))
    named = list[str]()
    for run in runs:
        if isinstance(run, str):
            with suppress(checkpoint.CheckpointError):
                named += checkpoint.read(run).actor().imports()
    return named


def _print(named: Sequence[str]) -> None:
    if named:
        print(f"{'imports':>12}  {', '.join(dict.fromkeys(named))}", flush=True)
