"""Detects user folders that hide our packages. This file imports none of ours, since they may not be found."""

import sys
from importlib.util import find_spec
from pathlib import Path

_OURS = Path(__file__).resolve().parents[2]


def refuse_shadows() -> None:
    """Exits with status 2 and a one-line error if Python would import an `agents` or `envs` that is not ours.

    Raises ImportError if not called from `python -m`.
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
