"""Random damage to a file's bytes, as caused by disks, transfers and editors."""

import random

_STRANGE = (
    b"\x00", b"\xff" * 9, b"\n", b"nan", b"-1", b"1e999", b"{", b"]", b"*a", b"&a [*a]", b": ",
    b"!!python/name:os.system",
    b"9" * 400, b"null", b"'", "γ".encode(),
)  # fmt: skip


def damaged(content: bytes, draw: random.Random) -> bytes:
    """The content after one to three changes; always different from before."""
    changed = content
    while changed == content:
        for _ in range(draw.choice([1, 1, 2, 3])):
            changed = _once(changed, draw)
    return changed


def _once(content: bytes, draw: random.Random) -> bytes:
    begin = draw.randint(0, len(content))
    end = min(begin + draw.choice([1, 1, 4, 16, 512]), len(content))
    before, part, after = content[:begin], content[begin:end], content[end:]
    changes = [
        before + bytes(byte ^ (1 << draw.randrange(8)) for byte in part) + after,
        before + draw.randbytes(len(part)) + after,
        before + bytes(len(part)) + after,
        before + after,
        before + part + part + after,
        before + draw.choice(_STRANGE) + part + after,
        before + draw.choice(_STRANGE) + after,
        before,
        after,
        after + before,
    ]
    return draw.choice(changes)
