"""The plan of a draft is changed by everybody's way in, by the version that was read, and never once it has begun."""

import pytest

from support import control_plane
from support.people import person
from wavegate_controller.documents import PlanChange, RolloutDocument, TemplateDocument, parse
from wavegate_controller.domain.access import Role
from wavegate_controller.domain.audit import AuditFilter
from wavegate_controller.domain.errors import Conflict, Forbidden, Invalid, NotFound, StaleVersion
from wavegate_controller.domain.transitions import Event
from wavegate_controller.service import audits, restoring, rollouts, templates

ADA = person("ada")
ONE_WAVE = {"plan": {"waves": [{"percent": 5}]}}


@pytest.fixture
def world(any_database_url):
    with control_plane.world(any_database_url) as world:
        world.flag()
        yield world


@pytest.fixture
def draft(world):
    return rollouts.create_rollout(world.services, parse(RolloutDocument, {"flag": "ai-summaries"}), by=ADA)


def change(world, draft, document, **further):
    return rollouts.change_plan(world.services, draft.id, parse(PlanChange, document), **{"by": ADA} | further)


def weights(rollout):
    return [wave.weight for wave in rollout.plan.waves]


def test_a_draft_gets_another_plan_and_keeps_the_rest(world, draft):
    after = change(world, draft, ONE_WAVE, expected_version=1, comment="less")

    with world.services.store.transaction() as work:
        stored = work.rollouts.get(draft.id)
    (entry,) = audits.find(world.services, AuditFilter(action="rollout.change"), limit=1, by=ADA)
    assert stored == after
    assert (weights(after), after.version, after.created_by) == ([5000], 2, "ada")
    assert (entry.note.subject, entry.note.reason, entry.note.after["version"]) == (draft.id, "less", 2)
    assert [wave["percent"] for wave in entry.note.before["plan"]["waves"]] == [10, 25, 50, 100]


def test_a_draft_gets_the_plan_of_a_template_and_says_of_which(world, draft):
    templates.save_template(world.services, "careful", parse(TemplateDocument, ONE_WAVE), by=ADA)

    after = change(world, draft, {"template": "careful"})

    assert (weights(after), after.template) == ([5000], "careful@1")
    assert change(world, draft, ONE_WAVE).template is None


def test_what_was_changed_can_be_set_back(world, draft):
    change(world, draft, ONE_WAVE)
    (entry,) = audits.find(world.services, AuditFilter(action="rollout.change"), limit=1, by=ADA)

    restoring.restore(world.services, entry.sequence, by=ADA)

    with world.services.store.transaction() as work:
        assert weights(work.rollouts.get(draft.id)) == weights(draft)


@pytest.mark.parametrize(
    ("document", "further", "refusal"),
    [
        ({}, {}, Invalid),
        (ONE_WAVE | {"template": "careful"}, {}, Invalid),
        ({"template": "careful"}, {}, NotFound),
        ({"plan": {"waves": []}}, {}, Invalid),
        (
            {"plan": {"gates": [{"type": "threshold", "name": "a", "query": "((", "operator": "<", "limit": 1}]}},
            {},
            Invalid,
        ),
        (ONE_WAVE, {"expected_version": 7}, StaleVersion),
        (ONE_WAVE, {"by": person("eve", Role.VIEWER)}, Forbidden),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(world, draft, document, further, refusal):
    with pytest.raises(refusal):
        change(world, draft, document, **further)

    with world.services.store.transaction() as work:
        assert work.rollouts.get(draft.id) == draft


def test_once_it_has_begun_a_plan_is_fixed(world, draft):
    rollouts.act(world.services, draft.id, Event.START, by=ADA)

    with pytest.raises(Conflict, match="its plan is fixed since it began"):
        change(world, draft, ONE_WAVE)


def test_whoever_was_faster_is_not_written_over(world, draft):
    query = {"type": "threshold", "name": "a", "query": "up", "operator": "<", "limit": 1}
    check = world.metrics.check

    def meanwhile(promql):
        world.metrics.check = check
        change(world, draft, ONE_WAVE, by=person("linus"))
        return check(promql)

    world.metrics.check = meanwhile

    with pytest.raises(StaleVersion):
        change(world, draft, {"plan": {"gates": [query]}})
    with world.services.store.transaction() as work:
        assert weights(work.rollouts.get(draft.id)) == [5000]


def test_over_http_the_version_that_was_read_is_what_is_changed(world, draft):
    api = control_plane.client(world.services)
    path = f"/api/v1/rollouts/{draft.id}/plan"

    changed = api.put(path, json=ONE_WAVE | {"actor": "ada"}, headers={"If-Match": '"1"'})
    late = api.put(path, json=ONE_WAVE | {"actor": "linus"}, headers={"If-Match": '"1"'})

    assert (changed.status_code, changed.json["version"]) == (200, 2)
    assert [wave["percent"] for wave in changed.json["plan"]["waves"]] == [5]
    assert late.status_code in (409, 412)
