"""The machine's memory, to reject what cannot fit before anything starts."""

import os
from pathlib import Path

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container


def shortage(needed: int) -> str:
    """ "300.0 GiB, and this machine has 16.0 GiB"; "" if `needed` bytes fit, or if the memory is unknown."""
    own = _machine_memory()
    return (
        ""
        if own is None or needed <= own
        else f"{needed / 2**30:,.1f} GiB, and this machine has {own / 2**30:,.1f} GiB"
    )


def _machine_memory() -> int | None:
    """In bytes; None if unknown."""
    try:
        sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):  # Windows
        return None
    texts = [Path(name).read_text(encoding="ascii").strip() for name in _LIMITS if Path(name).is_file()]
    return min(sizes + [int(text) for text in texts if text.isdigit()])
