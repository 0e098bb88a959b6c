"""docs/access.md says who may do what: each row is asked for over HTTP by every role, here and from elsewhere."""

import re
from pathlib import Path

import pytest

from support import control_plane
from support.database import database
from support.people import person
from support.world import World
from wavegate_controller.documents import FlagDocument, parse
from wavegate_controller.domain.access import EVERYWHERE, Role
from wavegate_controller.notify import OutsideMessenger
from wavegate_controller.service import accounts, credentials
from wavegate_controller.service.environments import create_environment
from wavegate_controller.service.flags import create_flag
from wavegate_controller.service.publish import publish_latest
from wavegate_controller.store import SqlStore

PAGE = (Path(__file__).parents[2] / "docs" / "access.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `(\w+)` \| ([a-z ]+?) \|", PAGE, re.MULTILINE))
LISTED = {name: each for name, each in control_plane.BY_NAME.items() if each.is_listed}
PLACES = ("production", "staging", EVERYWHERE)
ROOT = "a-token-of-the-settings"
HERE = {"production": Role.VIEWER}
#: Something that is there, for each part of a path.
PARTS = {
    "key": "spare",
    "reference": "ai-summaries:1",
    "decision": "1",
    "user": "ada",
    "channel": "spare",
    "delivery": "1",
    "number": "1",
    "name": "staging",
}


class Stage:
    """A production with one of everything, and tokens for each role there, elsewhere and everywhere."""

    def __init__(self, world):
        publish_latest(world.services)
        self.services, self.admin = world.services, person()
        self.api = control_plane.client(world.services, root=ROOT)
        create_environment(world.services, "staging", by=self.admin)
        self.as_root("POST", "/api/v1/channels", name="spare", type="webhook", url="https://hooks.example/x")
        world.flag()
        with world.services.store.transaction() as work:
            entry = work.audit.head().sequence
        world.started(gates=[{"type": "manual", "name": "judgement"}])
        create_flag(world.services, parse(FlagDocument, {"key": "spare"}), by=self.admin)
        accounts.create_user(world.services, "ada", {EVERYWHERE: Role.VIEWER}, by=self.admin)
        self.as_root("PUT", "/api/v1/segments/spare", **example(LISTED["save_segment"]))
        self.as_root("PUT", "/api/v1/templates/spare", **example(LISTED["save_template"]))
        self.parts = PARTS | {
            "entry": str(entry),
            "token": credentials.create_token(world.services, "spare", HERE, by=self.admin).credential.id,
            "sdk_key": credentials.create_key(world.services, "spare", by=self.admin).credential.id,
        }
        self.secrets = {(role, place): self.token(role, place) for role in Role for place in PLACES}

    def token(self, role, place):
        name = f"{role}-{'everywhere' if place == EVERYWHERE else place}"
        return credentials.create_token(self.services, name, {place: role}, by=self.admin).secret

    def as_root(self, method, where, **body):
        made = self.api.open(where, method=method, json=body, headers={"Authorization": f"Bearer {ROOT}"})
        assert made.status_code < 300, made.text

    def ask(self, operation, secret):
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        body = {} if operation.body is None else {"json": example(operation)}
        return self.api.open(path(operation, self.parts), method=operation.method, headers=headers, **body)


def path(operation, parts):
    given = parts | ({"reference": "spare"} if "template" in operation.name else {})
    return operation.path.format(**{each: given[each] for each in operation.parts})


def example(operation):
    if operation.name == "create_token":
        return {"name": "ci", "roles": HERE}
    examples = (operation.body.model_config.get("json_schema_extra") or {}).get("examples") or [{}]
    return {name: value for name, value in examples[0].items() if name != "actor"}


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    messenger = OutsideMessenger(urls=["https://hooks.example"])
    with database(tmp_path_factory.mktemp("access")) as engine:
        world = World.over(SqlStore(engine), messenger=messenger)
        yield Stage(world)


def in_order():
    """What removes comes last, so that what is removed is there for the others."""
    return sorted(LISTED.values(), key=lambda each: each.name.startswith(("remove", "revoke", "disable")))


def is_let_through(response):
    """Whatever else may be wrong with it; what somebody may not see is as if it were not there."""
    says = response.json["detail"] if response.status_code == 404 else ""
    is_hidden = says.startswith(("there is no token", "there is no SDK key"))
    return response.status_code not in (401, 403) and not is_hidden


def test_every_operation_has_its_row():
    assert set(ROWS) == set(LISTED)


@pytest.mark.parametrize("operation", in_order(), ids=lambda each: each.name)
def test_each_role_may_do_what_its_row_says_and_no_other(stage, operation):
    takes = ROWS[operation.name]
    may = {
        (role, place): is_let_through(stage.ask(operation, stage.secrets[role, place]))
        for place in PLACES
        for role in Role
    }
    stranger = stage.ask(operation, None)

    if takes == "nobody":
        assert stranger.status_code != 403
        return
    assert stranger.status_code == 401
    for (role, place), let_through in may.items():
        if takes == "anybody":
            assert let_through, (role, place)
            continue
        needed = Role(takes.removesuffix(" everywhere"))
        reaches = place == EVERYWHERE or (place == "production" and not takes.endswith(" everywhere"))
        is_enough = role.covers(needed) or (operation.name == "report_alerts" and role is Role.REPORTER)
        assert let_through is (reaches and is_enough), (role, place)
