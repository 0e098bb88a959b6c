"""Waiting for what another process does."""

from time import monotonic, sleep


def wait_until(condition, *, timeout: float = 30.0, what: str = "the condition"):
    """What the condition gave once it was true of it."""
    deadline = monotonic() + timeout
    while not (came := condition()):
        assert monotonic() < deadline, f"{what} did not come true within {timeout:g} s"
        sleep(0.02)
    return came
