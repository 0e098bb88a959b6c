"""Fixtures that several kinds of tests share."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.routing import Rule

from support.database import migrated, sqlite_file, sqlite_url
from support.postgres import Postgres
from support.prometheus import Prometheus

_ON_SQLITE = pytest.param("new_sqlite_url", id="sqlite")
_ON_POSTGRES = pytest.param("postgres_url", id="postgresql")
_ON_POSTGRES_IF_SLOW = pytest.param("postgres_url", id="postgresql", marks=pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def _routes_compiled_once() -> Iterator[None]:
    """Hundreds of tests make an application with the same routes, and Werkzeug compiles what builds the URL of each."""
    compiled: dict[tuple[str, bool], object] = {}
    compile_builder = Rule._compile_builder

    def once(rule: Rule, append_unknown: bool = True) -> object:
        key = (rule.rule, append_unknown)
        if rule.defaults or key not in compiled:
            compiled[key] = compile_builder(rule, append_unknown)
        return compiled[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", once)
        yield


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


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL, one for each process of the test run."""
    with Postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """A database of the test's own on it, migrated."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def new_sqlite_url(tmp_path: Path) -> str:
    """A database of the test's own in a file, migrated."""
    shutil.copy(migrated(), sqlite_file(tmp_path))
    return sqlite_url(tmp_path)


@pytest.fixture(params=[_ON_SQLITE, _ON_POSTGRES])
def database_url(request: pytest.FixtureRequest) -> str:
    """A database of the test's own: the test runs once on SQLite and once on PostgreSQL."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=[_ON_SQLITE, _ON_POSTGRES_IF_SLOW])
def any_database_url(request: pytest.FixtureRequest) -> str:
    """The same for tests of what lies above the store: on PostgreSQL they are slow ones."""
    return request.getfixturevalue(request.param)
