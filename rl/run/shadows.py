"""Folders of the user's that hide packages of ours. This file imports nothing of ours, since nothing might be found."""

import sys
from importlib.util import find_spec
from pathlib import Path

_OURS = Path(__file__).resolve().parents[2]


def refuse_shadows() -> None:
    """Ends a command in one line, with status 2, if Python would import another `agents` or `envs` than ours.

    Elsewhere raises ImportError.
    """
    for name in ("agents", "envs"):
        found = find_spec(name)
        if found is None or found.origin is None or Path(found.origin).resolve().parent.parent == _OURS:
            continue
        message = (
            f"{found.origin} hides the package {name!r} of actor-critic: rename it, or start commands as "
            "`actor-critic train …`, which finds ours first"
        )
        if sys.argv[:1] == ["-m"]:
            print(f"error: {message}", file=sys.stderr)
            sys.exit(2)
        raise ImportError(message)
