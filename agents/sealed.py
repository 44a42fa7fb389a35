"""Zip archives that carry their own SHA-256, written whole or not at all."""

import hashlib
import os
from pathlib import Path

# The digest stands in the archive's comment, which is the last bytes of the file and nothing to whoever reads a zip.
_END, _END_LENGTH = b"PK\x05\x06", 22  # of a zip archive, before its comment

_NO_COMMENT, _DIGEST_LENGTH = b"\x00\x00", (64).to_bytes(2, "little")

_TAIL = len(_DIGEST_LENGTH) + 64


def write(path: Path, archive: bytes) -> None:
    """Writes a zip archive that has no comment yet, with its digest in place of one.

    A neighboring temporary file is synced and then renamed, so that a crash leaves the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    body = archive.removesuffix(_NO_COMMENT)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(body)
            file.write(_DIGEST_LENGTH + _digest(body))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def intact(raw: bytes) -> bool | None:
    """Whether a file's bytes are those that `write` wrote; None if there is no digest in them."""
    if raw[-_TAIL : -_TAIL + 2] != _DIGEST_LENGTH:
        return None
    return raw[-_TAIL + 2 :] == _digest(raw[:-_TAIL])


def unsealed(raw: bytes) -> bool:
    """Whether these bytes end as a zip archive without any comment does; part of a digest is a comment, too."""
    return raw[-_END_LENGTH:].startswith(_END) and raw.endswith(_NO_COMMENT)


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()
