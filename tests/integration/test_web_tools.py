"""Playground, clients and audit as plain HTTP: what they show, to whom, and what they refuse."""

import pytest

from support import control_plane
from support.database import database
from support.pages import hidden_fields, pages_for, text_of
from support.people import person
from support.world import World
from wavegate_controller.documents import FlagChange, SegmentDocument, TemplateDocument, parse
from wavegate_controller.domain.access import EVERYWHERE, Role
from wavegate_controller.domain.audit import AuditFilter
from wavegate_controller.domain.delivery import ConnectedClient
from wavegate_controller.domain.errors import Conflict, Forbidden
from wavegate_controller.service import accounts, audits, flags, restoring, segments, templates
from wavegate_controller.service.publish import publish_latest
from wavegate_controller.store import SqlStore
from wavegate_controller.web.pages.clients import lines

ADA = person("ada")


@pytest.fixture
def world(any_database_url):
    with database(any_database_url) as engine:
        world = World.over(SqlStore(engine))
        publish_latest(world.services)
        yield world


@pytest.fixture
def browser(world):
    return pages_for(world.services)


def last(services, **wanted):
    """Number of the newest entry that fits."""
    return audits.find(services, AuditFilter(**wanted), limit=1, by=ADA)[0].sequence


def change(world, **fields):
    flags.change_flag(world.services, "ai-summaries", parse(FlagChange, fields), by=ADA, comment="tidied up")
    return last(world.services, action="flag.change")


def test_the_playground_shows_the_variant_and_why_the_steps_before_did_not_decide(world, browser):
    rule = {"name": "Nordics", "if": {"attribute": "country", "operator": "in", "value": ["NO"]}, "serve": "on"}
    world.flag(deny=["mallory"], rules=[rule])

    page = text_of(browser.get("/playground", query_string={"key": "user-1", "attributes": "country=DE"}).text)

    assert "Denied people: the targeting key is not listed" in page
    assert "Rule 1 “Nordics”: if country is one of NO: not met" in page
    assert 'not met country is one of NO: it is "DE"' in page
    assert "Default variant: nothing more special applied, so off is served" in page


def test_the_playground_refuses_attributes_that_it_cannot_read_and_keeps_them(world, browser):
    answer = browser.get("/playground", query_string={"key": "user-1", "attributes": "country=NO\nage"})

    assert answer.status_code == 422
    assert "Line 2, &#39;age&#39;, has no key and value" in answer.text
    assert "country=NO\nage</textarea>" in answer.text


def test_the_playground_tells_of_many_flags_page_by_page(world, browser):
    for number in range(53):
        world.flag(f"flag-{number:02}")

    first = browser.get("/playground?key=ada").text
    second = browser.get("/playground?key=ada&after=flag-49").text

    assert "after=flag-49" in first
    assert first.count('class="card answer"') == 50
    assert second.count('class="card answer"') == 3


def test_whoever_may_not_read_an_environment_is_shown_none_of_it(world):
    stranger = pages_for(world.services, Role.ADMIN, "staging")

    assert {stranger.get(path).status_code for path in ("/playground", "/clients", "/audit")} == {403}


def test_a_viewer_sees_playground_and_clients_but_not_the_audit(world):
    viewer = pages_for(world.services, Role.VIEWER)

    assert [viewer.get(path).status_code for path in ("/playground", "/clients", "/audit")] == [200, 200, 403]


def test_a_client_is_current_behind_ahead_or_silent():
    def client(revision):
        return ConnectedClient(
            instance="i", sdk="wavegate-python/0.1.0", app="shop", revision=revision, held_seconds=3, streaming=True
        )

    found = lines([client(each) for each in (None, 5, 7, 8)], 7)

    assert [(each.standing, each.behind) for each in found] == [
        ("silent", 0),
        ("behind", 2),
        ("current", 0),
        ("ahead", -1),
    ]


def test_without_apps_the_page_of_clients_shows_how_to_connect_one(browser):
    assert "wavegate.Client(" in browser.get("/clients").text


def test_an_entry_of_the_audit_is_a_line_that_opens_to_what_differs(world, browser):
    world.flag(deny=["mallory"])
    change(world, deny=["mallory", "eve"])

    page = text_of(browser.get("/audit?action=flag.change").text)

    assert "flag.change ai-summaries" in page
    assert '["mallory"] ["mallory", "eve"]' in page
    assert "flag.create" not in page


def test_the_audit_refuses_what_is_no_time_at_its_field(browser):
    answer = browser.get("/audit?since=yesterday")

    assert answer.status_code == 422
    assert "is no time. Needed: a time in UTC such as 2026-03-01T12:00" in text_of(answer.text)


def test_the_audit_goes_back_page_by_page(world, browser):
    for number in range(55):
        world.flag(f"flag-{number:02}")
    newest = last(world.services)

    first, second = browser.get("/audit").text, browser.get(f"/audit?before={newest - 49}").text

    assert f"before={newest - 49}" in first
    assert f'id="entry-{newest - 50}"' not in first
    assert f'id="entry-{newest - 50}"' in second
    assert browser.get("/audit?before=x").status_code == 404


def test_what_was_before_an_entry_is_set_back_by_a_change_of_its_own(world, browser):
    world.flag(deny=["mallory"])
    number = change(world, deny=[], description="All are welcome.")
    page = browser.get(f"/audit/{number}/restore").text

    sent = browser.post(f"/audit/{number}/restore", data=hidden_fields(page) | {"comment": "not all are"})

    entry = audits.show(world.services, last(world.services), by=ADA)
    assert sent.status_code == 303
    assert flags.get_flag(world.services, "ai-summaries", by=ADA).deny == ("mallory",)
    assert entry.sequence > number
    assert (entry.note.action, entry.note.actor) == ("flag.change", "ada")
    assert entry.note.reason == f"not all are (restores what was before audit entry {number})"


def test_what_has_changed_since_the_page_was_opened_is_not_set_back_unseen(world, browser):
    world.flag()
    number = change(world, deny=["mallory"])
    page = browser.get(f"/audit/{number}/restore").text
    change(world, deny=["mallory", "eve"])

    sent = browser.post(f"/audit/{number}/restore", data=hidden_fields(page) | {"comment": "mine"})

    assert sent.status_code == 409
    assert "it has changed since you opened this page" in sent.text
    assert 'value="mine"' in sent.text
    assert flags.get_flag(world.services, "ai-summaries", by=ADA).deny == ("mallory", "eve")


def test_each_kind_of_state_can_be_set_back(world):
    services = world.services
    world.flag()
    pilot = {"variant": "on", "keys": ["ann"]}
    condition = {"attribute": "country", "operator": "equals", "value": "NO"}
    numbers = [change(world, pilot=pilot), change(world, pilot=None)]
    flags.set_enabled(services, "ai-summaries", enabled=False, by=ADA)
    numbers.append(last(services))
    flags.archive_flag(services, "ai-summaries", by=ADA)
    numbers.append(last(services))
    segments.save_segment(services, "nordics", parse(SegmentDocument, {"condition": condition}), by=ADA)
    numbers.append(last(services))
    for hold_out in (5, 10):
        document = parse(TemplateDocument, {"plan": {"hold_out": hold_out}})
        templates.save_template(services, "careful", document, by=ADA)
    numbers.append(last(services))
    accounts.create_user(services, "bob", {EVERYWHERE: Role.VIEWER}, by=ADA)
    accounts.set_roles(services, "bob", {EVERYWHERE: Role.ENGINEER}, by=ADA)
    numbers.append(last(services))

    for number in reversed(numbers):
        restoring.restore(services, number, by=ADA)
        assert restoring.earlier(services, number, by=ADA).is_so_already, number

    flag = flags.get_flag(services, "ai-summaries", by=ADA)
    assert (flag.enabled, flag.archived_at, flag.pilot) == (True, None, None)
    assert segments.list_segments(services, by=ADA) == []
    assert templates.get_template(services, "careful", by=ADA).plan.hold_out == 5_000
    assert accounts.list_users(services, by=ADA)[0].roles == {EVERYWHERE: Role.VIEWER}


def test_what_cannot_be_set_back_is_refused_with_what_to_do_instead(world, browser):
    world.flag()
    created = last(world.services)
    world.started()
    started = last(world.services, action="rollout.start")

    for number, instead in ((created, "archive the flag instead"), (started, "act on the rollout")):
        with pytest.raises(Conflict, match=instead):
            restoring.restore(world.services, number, by=ADA)
        assert instead in browser.get(f"/audit/{number}/restore").text
    assert browser.get(f"/audit/{10**30}/restore").status_code == 404


def test_setting_back_takes_the_role_that_the_change_takes(world):
    services = world.services
    accounts.create_user(services, "bob", {EVERYWHERE: Role.VIEWER}, by=ADA)
    accounts.set_roles(services, "bob", {EVERYWHERE: Role.ENGINEER}, by=ADA)

    with pytest.raises(Forbidden):
        restoring.restore(services, last(services), by=person("eve", Role.ENGINEER))


def test_the_api_sets_back_too(world):
    world.flag()
    number = change(world, deny=["mallory"])
    api = control_plane.client(world.services)

    answer = api.post(f"/api/v1/audit/{number}/restore", json={"actor": "ada", "comment": "as before"})

    assert answer.json["sequence"] == number
    assert flags.get_flag(world.services, "ai-summaries", by=ADA).deny == ()
