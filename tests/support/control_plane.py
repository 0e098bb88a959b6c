"""A `World` as the API shows it."""

from contextlib import contextmanager
from dataclasses import replace

from flask import Flask, g, request

from support import people
from support.database import database
from support.world import World
from wavegate_controller.api import make_api
from wavegate_controller.api.blueprint import OPERATIONS
from wavegate_controller.api.errors import Problem
from wavegate_controller.identity import Identity
from wavegate_controller.store import SqlStore

BY_NAME = {operation.name: operation for part in OPERATIONS for operation in part.all}


class As(Identity):
    """Everybody who asks is this one."""

    def __init__(self, principal):
        super().__init__(services=None)
        self._principal = principal

    def identify(self):
        g.principal = self._principal
        return self._principal


class _Gone:
    def transaction(self):
        raise OSError("disk I/O error")


@contextmanager
def world(directory):
    """A world whose database is in the directory."""
    with database(directory) as engine:
        yield World.over(SqlStore(engine))


def client(services, **tokens):
    """A client of the API; every answer is held to its operation."""
    return application(services, **tokens).test_client()


def application(services, identity=None, **tokens):
    """An application that has pages, too."""
    app = Flask("control_plane")
    app.register_blueprint(make_api(services, identity or people.identity(services, **tokens)))
    app.after_request(hold_to_its_operation)
    return app


def hold_to_its_operation(response):
    """Refuse an answer that is not what the operation promises."""
    operation = BY_NAME.get((request.endpoint or "").rpartition(".")[2])
    if response.content_type == "application/problem+json":
        Problem.model_validate_json(response.data)
    elif operation is not None and request.method == operation.method:
        assert response.status_code == operation.status
        if operation.answer is not None:
            operation.answer.model_validate_json(response.data)
    return response


def without_database(services):
    """The same services after their database went away."""
    return replace(services, store=_Gone())
