"""Zip archives that contain their own SHA-256, written atomically."""

import hashlib
from pathlib import Path

from agents.writing import replacing

# The digest is the archive's comment: the last bytes of the file, which zip readers ignore.
_END, _END_LENGTH = b"PK\x05\x06", 22  # signature and length of the record that ends an archive without a comment
_NO_COMMENT, _DIGEST_LENGTH = b"\x00\x00", (64).to_bytes(2, "little")
_TAIL = len(_DIGEST_LENGTH) + 64


def write(path: Path, archive: bytes) -> None:
    """Writes a zip archive that has no comment, with its digest as the comment; creates the folder if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = archive.removesuffix(_NO_COMMENT)
    with replacing(path) as file:
        file.write(body)
        file.write(_DIGEST_LENGTH + _digest(body))


def digest_matches(raw: bytes) -> bool | None:
    """Whether the digest in a file matches the rest of its bytes; None if the file has no digest."""
    if raw[-_TAIL : -_TAIL + 2] != _DIGEST_LENGTH:
        return None
    return raw[-_TAIL + 2 :] == _digest(raw[:-_TAIL])


def has_no_comment(raw: bytes) -> bool:
    """Whether the bytes end like a zip archive without a comment; False if they end within a digest."""
    return raw[-_END_LENGTH:].startswith(_END) and raw.endswith(_NO_COMMENT)


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()
