"""The pytest fixture that comes with the SDK. Pytest imports this module, and nobody else does."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from wavegate.testing import FixedClient


@pytest.fixture
def wavegate_flags() -> "Iterator[FixedClient]":
    """A client for this test: `serve` says what its flags are, `replace` puts it in place of the app's own.

    Clients that were replaced answer again when the test is over.
    """
    from wavegate.testing import FixedClient  # noqa: PLC0415 # pytest loads this for each run, needed or not

    flags = FixedClient()
    yield flags
    flags.restore()
