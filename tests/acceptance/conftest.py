"""What the stories are played on."""

from collections.abc import Iterator

import pytest

from wavegate_controller.demo.stack import Stack


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A controller, a real Prometheus, two processes of the product app and their users."""
    with Stack(print, bake="4s") as running:
        yield running
