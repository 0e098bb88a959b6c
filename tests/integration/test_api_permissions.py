"""What each operation takes is what its declaration says: no less, and no more."""

import re
from dataclasses import replace

import pytest

from support import control_plane
from support.people import person
from wavegate_controller.api.blueprint import OPERATIONS
from wavegate_controller.domain.access import LEAST_ROLE, Permission, Role
from wavegate_controller.notify import OutsideMessenger

GUARDED = [operation for part in OPERATIONS for operation in part.all if operation.permission and operation.is_listed]
CHANNEL = {"name": "ops", "url": "http://127.0.0.1:9/hook", "type": "webhook"}
PARTS = {
    "channel": "ops",
    "delivery": "1",
    "key": "ai-summaries",
    "reference": "ai-summaries",
    "decision": "1",
    "entry": "1",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One for all: whoever is let in may change it, and is refused all the same where they have less."""
    with control_plane.world(tmp_path_factory.mktemp("permissions")) as world:
        world.services = replace(world.services, messenger=OutsideMessenger(urls=[CHANNEL["url"]]))
        world.flag()
        world.started()
        admin = control_plane.client(world.services)
        added = admin.post("/api/v1/channels", json=CHANNEL)
        assert added.status_code == 201, added.json
        assert admin.post(f"/api/v1/channels/{CHANNEL['name']}/test", json={"actor": "ada"}).status_code == 200
        yield world


def ask(world, operation, role):
    """The answer to an example of the operation, for somebody with the role."""
    client = control_plane.application(world.services, control_plane.As(person(role=role))).test_client()
    path = re.sub(r"{(\w+)}", lambda part: PARTS.get(part[1], "other"), operation.path)
    body = None
    if operation.body is not None:
        body = dict(operation.body.model_config["json_schema_extra"]["examples"][0])
        body.pop("actor", None)
    return client.open(path, method=operation.method, json=body)


@pytest.mark.parametrize(
    "operation",
    sorted(GUARDED, key=lambda operation: operation.method == "DELETE"),
    ids=lambda operation: operation.name,
)
def test_whoever_has_less_is_refused_and_whoever_has_it_is_not(world, operation):
    needed = operation.permission
    without = [role for role in Role if not role.allows(needed)]

    refused = {role: ask(world, operation, role) for role in without}
    let_in = ask(world, operation, LEAST_ROLE[needed])

    assert {role: answer.status_code for role, answer in refused.items()} == dict.fromkeys(without, 403)
    assert {answer.json["permission"] for role, answer in refused.items() if role.allows(Permission.READ)} <= {needed}
    assert let_in.status_code != 403
