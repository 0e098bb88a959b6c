"""One controller, several environments: flags, rollouts and rulesets of each are its own."""

import pytest

from support import control_plane
from support.people import person
from wavegate_controller.domain.access import Permission, Role
from wavegate_controller.domain.environment import Environment
from wavegate_controller.domain.errors import Forbidden, NotFound
from wavegate_controller.domain.transitions import Event
from wavegate_controller.service import queries
from wavegate_controller.service.flags import create_flag, set_enabled
from wavegate_controller.service.publish import publish_latest
from wavegate_controller.service.rollouts import act


@pytest.fixture
def world(tmp_path):
    with control_plane.world(tmp_path) as world:
        publish_latest(world.services)
        with world.services.store.transaction() as work:
            work.environments.add(Environment(name="staging", created_at=world.clock.now()))
        yield world


@pytest.fixture
def api(world):
    return control_plane.client(world.services)


def test_an_environment_that_does_not_exist_is_named(world, api):
    with pytest.raises(NotFound, match="there is no environment 'stagin'"):
        world.services.within("stagin")

    missed = api.get("/api/v1/flags?environment=stagin")

    assert (missed.status_code, missed.json["detail"]) == (404, "there is no environment 'stagin'")


def test_a_flag_of_one_environment_is_none_of_another(api):
    api.post("/api/v1/flags?environment=staging", json={"key": "search"})

    assert [each["key"] for each in api.get("/api/v1/flags?environment=staging").json["items"]] == ["search"]
    assert api.get("/api/v1/flags").json["items"] == []
    assert api.get("/api/v1/flags/search").status_code == 404


def test_a_rollouts_number_is_counted_over_all_environments_so_its_id_names_one(api):
    for where in ("", "?environment=staging"):
        api.post(f"/api/v1/flags{where}", json={"key": "search"})
        created = api.post(f"/api/v1/rollouts{where}", json={"flag": "search", "actor": "ada"})

    assert (created.json["id"], created.json["environment"]) == ("search:2", "staging")
    assert api.get("/api/v1/rollouts/search").json["id"] == "search:1"
    assert api.get("/api/v1/rollouts/search?environment=staging").json["id"] == "search:2"
    assert api.get("/api/v1/rollouts/search:2").json["environment"] == "staging"


def test_revisions_are_counted_in_each_environment(world, api):
    for key in ("a", "b", "c"):
        api.post("/api/v1/flags?environment=staging", json={"key": key})

    assert api.get("/api/v1/status?environment=staging").json["revision"] == 3
    assert api.get("/api/v1/status").json["revision"] == 1


def test_a_role_elsewhere_moves_nothing_here_though_the_id_is_known(world):
    world.flag()
    world.started()
    elsewhere = person("eve", Role.ADMIN, "staging")

    for staging in (world.services, world.services.within("staging")):
        with pytest.raises(Forbidden):
            act(staging, "ai-summaries:1", Event.ROLL_BACK, by=elsewhere)
        with pytest.raises(Forbidden):
            queries.rollout_view(staging, "ai-summaries:1", by=elsewhere)
        with pytest.raises(Forbidden):
            queries.history(staging, "ai-summaries:1", limit=1, by=elsewhere)

    assert world.rollout().wave == 0


@pytest.mark.parametrize("event", [Event.PROMOTE, Event.APPROVE, Event.REJECT])
def test_it_takes_an_approver_to_overrule_the_gates(world, event):
    world.flag()
    world.started()

    with pytest.raises(Forbidden) as refused:
        act(world.services, "ai-summaries:1", event, by=person("ada", Role.ENGINEER), comment="now")

    assert refused.value.permission is Permission.APPROVE


def test_a_viewer_sees_and_changes_nothing(world):
    world.flag()
    viewer = person("vic", Role.VIEWER)

    assert queries.flag_view(world.services, "ai-summaries", by=viewer).flag.enabled
    with pytest.raises(Forbidden):
        set_enabled(world.services, "ai-summaries", enabled=False, by=viewer)
    with pytest.raises(Forbidden):
        create_flag(world.services, None, by=viewer)
    assert queries.flag_view(world.services, "ai-summaries", by=viewer).flag.enabled
