"""What every message to a user must be."""


def in_one_line(error: Exception, result: str) -> str:
    """Asserts that the message is one line of bearable length; returns the result."""
    assert "\n" not in str(error)
    assert len(str(error)) < 600
    return result
