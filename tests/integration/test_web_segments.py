"""Segments as pages: who uses each, a condition as a sentence, and nothing saved unseen."""

import pytest

from support.database import database
from support.pages import hidden_fields, pages_for, text_of
from support.people import person
from support.world import World
from wavegate_controller.documents import SegmentDocument, parse
from wavegate_controller.domain.access import Role
from wavegate_controller.domain.errors import NotFound
from wavegate_controller.service import segments
from wavegate_controller.service.publish import publish_latest
from wavegate_controller.store import SqlStore

ADA = person("ada")
NORDICS = {"description": "The Nordics", "condition": {"attribute": "country", "operator": "in", "value": ["NO", "SE"]}}
TYPED = {
    "key": "nordics",
    "description": "The Nordics",
    "attribute": ["country", "plan"],
    "operator": ["in", "not equals"],
    "value": ["NO, SE", "free"],
    "match": "all",
}


@pytest.fixture
def world(tmp_path):
    with database(tmp_path) as engine:
        world = World.over(SqlStore(engine))
        publish_latest(world.services)
        yield world


@pytest.fixture
def browser(world):
    return pages_for(world.services)


def saved(world, key="nordics", **fields):
    return segments.save_segment(world.services, key, parse(SegmentDocument, NORDICS | fields), by=ADA)


def sent(browser, path, page, **fields):
    return browser.post(path, data=hidden_fields(page) | fields)


def test_a_segment_is_created_once_it_was_reviewed_and_reads_as_a_sentence(world, browser):
    longer = sent(browser, "/new-segment", browser.get("/new-segment").text, **TYPED, do="line").text
    reviewed = sent(browser, "/new-segment", longer, **TYPED, do="review").text
    with pytest.raises(NotFound):
        segments.get_segment(world.services, "nordics", by=ADA)

    created = sent(browser, "/new-segment", reviewed, **TYPED, do="save")

    assert longer.count('name="attribute"') == 3
    assert "country is one of NO, SE and plan is not free" in text_of(reviewed)
    assert "wavegate segment save nordics -f -" in reviewed
    assert created.status_code == 303
    assert "country is one of NO, SE and plan is not free" in text_of(browser.get("/segments").text)


def test_who_uses_a_segment_is_said_and_what_is_used_cannot_be_removed(world, browser):
    saved(world)
    saved(world, "unused")
    saved(world, "wider", condition={"any": [{"segment": "nordics"}, {"attribute": "vip", "operator": "exists"}]})
    world.flag(rules=[{"if": {"not": {"segment": "nordics"}}, "serve": "on"}])

    page = browser.get("/segments").text
    refused = browser.post("/segments/nordics/remove")
    removed = browser.post("/segments/unused/remove")

    assert "Used by ai-summaries, segment wider" in text_of(page)
    assert 'aria-label="Remove nordics"' not in page
    assert (refused.status_code, removed.status_code) == (409, 303)
    assert [each.key for each in segments.list_segments(world.services, by=ADA)] == ["nordics", "wider"]
    assert "They all change as soon as you save" in text_of(browser.get("/segments/nordics").text)


def test_a_segment_that_somebody_else_changed_meanwhile_shows_both_sides(world, browser):
    saved(world)
    page = browser.get("/segments/nordics").text
    typed = {"attribute": "country", "operator": "in", "value": "NO, SE", "description": "Mine"}
    saved(world, description="Theirs", condition={"attribute": "country", "operator": "equals", "value": "DK"})

    answer = sent(browser, "/segments/nordics", page, **typed, do="save")
    typed |= {"operator": "equals", "value": "DK"}
    reviewed = sent(browser, "/segments/nordics", answer.text, **typed, do="review").text
    done = sent(browser, "/segments/nordics", reviewed, **typed, do="save")

    after = segments.get_segment(world.services, "nordics", by=ADA)
    assert answer.status_code == 409
    assert "What only they changed is taken over below: condition." in text_of(answer.text)
    assert (done.status_code, after.description, after.condition.value) == (303, "Mine", "DK")


def test_what_is_wrong_with_a_segment_is_said_at_its_field_and_kept(world, browser):
    saved(world, "taken")
    page = browser.get("/new-segment").text
    cases = [
        ({"attribute": ["", ""], "value": ["", ""]}, 422, "condition-error"),
        ({"operator": ["<", "equals"]}, 422, "condition-error"),
        ({"key": "No good"}, 422, "field-key-error"),
        ({"key": "taken"}, 409, "field-key-error"),
    ]

    for fields, status, said in cases:
        typed = TYPED | fields
        reviewed = sent(browser, "/new-segment", page, **typed, do="review")
        answer = sent(browser, "/new-segment", reviewed.text, **typed, do="save")

        assert (answer.status_code, f'id="{said}"' in answer.text) == (status, True), fields
        assert 'value="The Nordics"' in answer.text


def test_a_viewer_sees_segments_and_changes_none(world):
    saved(world)
    viewer = pages_for(world.services, Role.VIEWER)

    assert "new-segment" not in viewer.get("/segments").text
    assert viewer.get("/segments").status_code == 200
    for path in ("/new-segment", "/segments/nordics"):
        assert viewer.get(path).status_code == 403
        assert viewer.post(path, data=TYPED | {"version": "1"}).status_code == 403
    assert viewer.post("/segments/nordics/remove").status_code == 403
