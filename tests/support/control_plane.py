"""A `World` as the API shows it."""

from contextlib import contextmanager
from dataclasses import replace

from flask import Flask

from support.database import database
from support.world import World
from wavegate_controller.api import make_api
from wavegate_controller.store import SqlStore


class _Gone:
    def transaction(self):
        raise OSError("disk I/O error")


@contextmanager
def world(directory):
    """A world whose database is in the directory."""
    with database(directory) as engine:
        yield World.over(SqlStore(engine))


def client(services, **tokens):
    """A client of the API, in an application that has pages, too."""
    app = Flask("control_plane")
    app.register_blueprint(make_api(services, tokens=tokens))
    return app.test_client()


def without_database(services):
    """The same services after their database went away."""
    return replace(services, store=_Gone())
