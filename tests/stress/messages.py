"""Requirements for every message to a user."""


def in_one_line(error: Exception, result: str) -> str:
    """Asserts that the message is a single line of acceptable length; returns the result."""
    assert "\n" not in str(error)
    assert len(str(error)) < 600
    return result
