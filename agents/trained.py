"""The agent of a run directory, or of a checkpoint file."""

from pathlib import Path

from agents.a2c import A2C
from rl import checkpoint


def trained(run: Path) -> tuple[A2C, Path]:
    """The agent as the newest checkpoint of a run directory holds it, and that file; a file stands for itself.

    Raises CheckpointError if there is none, or none that can be used.
    """
    file = checkpoint.newest(run / "checkpoints") if run.is_dir() else run
    return A2C.load(file), file
