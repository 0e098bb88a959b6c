"""Fixtures that several kinds of tests share."""

from collections.abc import Iterator

import pytest

from support.prometheus import Prometheus


@pytest.fixture(scope="session")
def prometheus() -> Iterator[Prometheus]:
    """A real Prometheus, one for each process of the test run; apps to scrape come from `start_app`."""
    with Prometheus() as server:
        yield server


@pytest.fixture
def start_app(prometheus: Prometheus):
    """Starts an app that Prometheus scrapes: `start_app(flag="...")`. Flags are the test's own: samples stay."""
    yield prometheus.start_app
    prometheus.stop_apps()
