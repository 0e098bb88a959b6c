"""The review of a wave: read, signed by what was read, kept as it was seen."""

import json
from contextlib import closing
from dataclasses import replace

import pytest
from prometheus_client import Counter

from support import control_plane
from support.pages import pages_for, text_of
from support.people import person
from wavegate_controller.clock import SystemClock
from wavegate_controller.documents import RolloutDocument, parse
from wavegate_controller.domain.access import EVERYWHERE, Role
from wavegate_controller.domain.answers import FeedbackAnswer, Source
from wavegate_controller.domain.audit import AuditFilter
from wavegate_controller.domain.errors import Conflict, Invalid, NotFound
from wavegate_controller.domain.transitions import Event
from wavegate_controller.providers import PrometheusProvider
from wavegate_controller.service.audits import verify_store
from wavegate_controller.service.explain import explain_decision
from wavegate_controller.service.feedback import erase_comment, keep
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.service.reviews import get_review
from wavegate_controller.service.rollouts import act, create_rollout

FLAG = "ai-summaries"
ROLLOUT = f"{FLAG}:1"
GATES = [
    {"type": "error_rate"},
    {"type": "threshold", "name": "p95", "query": 'p95{flag="{{flag}}"}', "operator": "<", "limit": 0.8},
]
WAVES = [
    {"percent": 25, "bake": "20s", "target": "20s", "approval": "manual", "approvers": 2},
    {"percent": 50, "bake": "1m"},
    {"percent": 100, "bake": "1m"},
]


@pytest.fixture
def world(any_database_url):
    with control_plane.world(any_database_url) as world:
        world.flag()
        yield world


@pytest.fixture
def waiting(world):
    """A rollout that waits for two signatures, after an outage of the metrics server and with something said."""
    world.started(waves=WAVES, gates=GATES, interval="5s")
    say(world, 1, "too <b>long</b>")
    world.metrics.away = True
    look(world)
    world.metrics.away = False
    for _ in range(8):
        world.metrics.count("on", 50, 1)
        world.metrics.count("off", 150, 3)
        look(world)
    assert world.rollout().state.value == "awaiting_approval"
    return world


def look(world):
    world.clock.advance(seconds=5)
    return reconcile(world.services, ROLLOUT)


def say(world, number, comment, **fields):
    said = {"variant": "on", "thumbs_up": False, "source": Source.SERVER} | fields
    keep(
        world.services,
        [
            FeedbackAnswer(
                key=f"id:{number}",
                environment="production",
                flag_key=FLAG,
                comment=comment,
                at=world.clock.now(),
                **said,
            )
        ],
    )


def read(world, **which):
    return get_review(world.services, ROLLOUT, by=person("ada"), **which)


def approve(world, name, review=None):
    return act(world.services, ROLLOUT, Event.APPROVE, by=person(name), comment="reads well", review=review)


def test_a_review_shows_gates_beside_their_limits_incidents_words_and_the_next_wave(waiting):
    review = read(waiting)
    errors, p95 = review["gates"]

    assert (review["wave"]["number"], review["wave"]["percent"], review["is_open"]) == (1, 25.0, True)
    assert (errors["verdict"], errors["candidate"], errors["stable"]) == ("pass", 0.02, 0.02)
    assert (p95["verdict"], p95["value"], p95["limit"]) == ("pass", 0.3, 0.8)
    assert p95["rule"].startswith("Passes while p95 is below 0.8.")
    assert [each["kind"] for each in review["incidents"]] == ["cannot_measure"]
    assert [each["comment"] for each in review["comments"]] == ["too <b>long</b>"]
    assert review["answers"] == [{"variant": "on", "up": 0, "down": 1}, {"variant": "off", "up": 0, "down": 0}]
    # All numbers that this metrics server is asked for are 0.3.
    assert (review["next"]["percent"], review["next"]["users"]["seen"]) == (50.0, 0.3)
    assert [(each["variant"], each["down"], each["requests"]) for each in review["thumbs"]] == [
        ("on", 0.3, 0.3),
        ("off", 0.3, 0.3),
    ]
    assert review["approvals"] == {"needed": 2, "given": []}


def test_who_signs_signs_what_they_read_and_it_stays_readable(waiting):
    digest = read(waiting)["digest"]
    look(waiting)
    say(waiting, 2, "even longer")

    approve(waiting, "ada", digest)
    approve(waiting, "bert")
    waiting.clock.advance(seconds=5)

    past = read(waiting, wave=1)
    assert [(each["event"], each["actor"], each["was_read"]) for each in past["decided"]] == [
        ("sign", "ada", True),
        ("approve", "bert", False),
    ]
    assert (past["is_kept"], past["is_open"], len(past["comments"])) == (True, False, 2)
    assert [each["verdict"] for each in past["gates"]] == ["pass", "pass"]
    seen = read(waiting, decision=past["decided"][0]["decision"])
    assert (seen["digest"], [each["comment"] for each in seen["comments"]]) == (digest, ["too <b>long</b>"])
    assert read(waiting)["wave"]["number"] == 2


def test_what_was_signed_is_in_the_record_and_in_the_audit_and_both_hold(waiting):
    digest = read(waiting)["digest"]
    approve(waiting, "ada", digest)

    with waiting.services.store.transaction() as work:
        record = work.decisions.list(ROLLOUT, limit=1)[0]
        (entry,) = work.audit.list(AuditFilter(action="rollout.sign"), limit=5)
    assert (record.review["digest"], record.review["read"]) == (digest, True)
    assert entry.note.evidence["review"] == {"digest": digest, "read": True}
    assert "long" not in json.dumps(record.review)
    assert verify_store(waiting.services.store).fault is None
    assert explain_decision(waiting.services, record.id - 1, by=person("ada")).agrees


def test_a_review_that_has_changed_since_is_refused_and_nothing_moves(waiting):
    digest = read(waiting)["digest"]
    waiting.metrics.away = True
    look(waiting)

    with pytest.raises(Conflict, match=r"the gates say now: .*cannot_measure.*incidents: 2 by now"):
        approve(waiting, "ada", digest)

    assert waiting.rollout().approvals == ()
    approve(waiting, "ada", read(waiting)["digest"])
    assert [each.by for each in waiting.rollout().approvals] == ["ada"]


def test_words_that_are_taken_away_were_read_and_are_gone_from_what_was_signed(waiting):
    review = read(waiting)
    approve(waiting, "ada", review["digest"])
    erase_comment(waiting.services, FLAG, review["comments"][0]["id"], by=person("ada"))

    with pytest.raises(Conflict, match="comments were taken away or changed"):
        approve(waiting, "bert", review["digest"])
    approve(waiting, "bert", read(waiting)["digest"])

    past = read(waiting, wave=1)
    (said,) = read(waiting, decision=past["decided"][0]["decision"])["comments"]
    assert (said["comment"], said["is_erased"], past["comments"]) == ("", True, [])


def test_a_rejection_is_kept_with_what_was_seen_whatever_has_changed(waiting):
    digest = read(waiting)["digest"]
    waiting.metrics.away = True
    look(waiting)

    act(waiting.services, ROLLOUT, Event.REJECT, by=person("ada"), comment="too slow", review=digest)

    review = read(waiting)
    assert [(each["event"], each["was_read"]) for each in review["decided"]] == [("reject", False)]
    assert review["is_open"]


def test_what_cannot_be_reviewed_or_signed_is_refused_by_its_name(world):
    world.draft(waves=WAVES, gates=GATES)

    with pytest.raises(Conflict, match="has not started"):
        read(world)
    act(world.services, ROLLOUT, Event.START, by=person("anna"))
    with pytest.raises(NotFound):
        read(world, wave=2)
    with pytest.raises(NotFound):
        read(world, decision=1)
    with pytest.raises(Invalid, match="review: is given, but pause signs none"):
        act(world.services, ROLLOUT, Event.PAUSE, by=person("ada"), review="1")


def test_a_wave_that_the_gates_left_by_themselves_is_read_from_what_is_kept_of_it(world):
    world.started(waves=[{"percent": 25, "bake": "5s"}, {"percent": 100, "bake": "1m"}], gates=GATES[1:], interval="5s")
    look(world)
    look(world)

    past = read(world, wave=1)
    assert (past["is_kept"], past["gates"][0]["verdict"], past["gates"][0]["value"]) == (False, "pass", 0.3)
    assert [(each["event"], each["actor"]) for each in past["decided"]] == [("promote", "wavegate")]


def test_the_api_shows_it_and_refuses_an_approval_of_another_one(waiting):
    client = control_plane.client(waiting.services)
    path = f"/api/v1/rollouts/{FLAG}"
    digest = client.get(f"{path}/review").json["digest"]
    waiting.metrics.away = True
    look(waiting)

    body = {"actor": "ada", "comment": "fine", "review": digest}
    refused, wrong = (client.post(f"{path}/approve", json=body | more) for more in ({}, {"review": "1"}))
    signed = client.post(f"{path}/approve", json=body | {"review": client.get(f"{path}/review").json["digest"]})

    assert (refused.status_code, wrong.status_code, signed.status_code) == (409, 422, 200)
    assert "is not the one that was read" in refused.json["detail"]
    assert client.get(f"{path}/review?wave=7").status_code == 404
    assert signed.json["latest_decision"]["review"] is not None


def test_the_page_signs_what_it_shows_and_people_cannot_smuggle_html_in(waiting):
    browser = pages_for(waiting.services)
    page = browser.get(f"/flags/{FLAG}/review").text

    assert "too &lt;b&gt;long&lt;/b&gt;" in page
    assert "<b>long</b>" not in page
    told = text_of(page)
    for part in ("Passes while p95 is below 0.8", "cannot measure", "An hour of the next wave", "0 of 2 signed"):
        assert part in told
    digest = page.partition('name="review" value="')[2].partition('"')[0]
    form = {"rollout": ROLLOUT, "review": digest, "comment": "reads well"}
    waiting.metrics.away = True
    look(waiting)
    refused = browser.post(f"/flags/{FLAG}/review/approve", data=form)
    assert (refused.status_code, "is not the one that was read" in refused.text) == (409, True)
    assert 'value="reads well"' in refused.text
    digest = read(waiting)["digest"]
    assert browser.post(f"/flags/{FLAG}/review/approve", data=form | {"review": digest}).status_code == 303
    assert "read and signed" in text_of(browser.get(f"/flags/{FLAG}/review").text)
    number = read(waiting)["decided"][0]["decision"]
    assert f"/flags/{FLAG}/review?decision={number}" in browser.get(f"/decisions/{number}").text
    assert "as it was signed" in browser.get(f"/flags/{FLAG}/review?decision={number}").text
    assert "too &lt;b&gt;long" in browser.get(f"/flags/{FLAG}/review/document").text


def test_the_page_offers_nothing_to_sign_to_who_may_not(waiting):
    viewer = pages_for(waiting.services, Role.VIEWER, EVERYWHERE)

    page = viewer.get(f"/flags/{FLAG}/review").text

    assert "Takes the role approver or a stronger one." in page
    assert 'name="review"' not in page
    assert viewer.post(f"/flags/{FLAG}/review/approve", data={"rollout": ROLLOUT, "comment": "x"}).status_code == 403
    assert viewer.post(f"/flags/{FLAG}/review/promote", data={}).status_code == 404
    assert viewer.get(f"/flags/{FLAG}/review?wave=0").status_code == 404


@pytest.mark.slow
def test_a_wave_that_a_real_prometheus_measured_is_reviewed_and_signed(tmp_path, prometheus, start_app):
    flag = "review-of-prometheus"
    waves = [
        {"percent": 25, "bake": "100ms", "target": "100ms", "approval": "manual"},
        {"percent": 50, "bake": "1h"},
        {"percent": 100, "bake": "1h"},
    ]
    plan = {"gates": [{"type": "error_rate"}], "guardrail": {"cohorts": 1}, "interval": "1s", "waves": waves}
    with control_plane.world(tmp_path) as world, closing(PrometheusProvider(prometheus.url, timeout=5)) as provider:
        world.services = replace(world.services, clock=SystemClock(), provider=provider)
        world.flag(flag, variants={"new": 1, "old": 0}, default_variant="old")
        document = parse(RolloutDocument, {"flag": flag, "candidate": "new", "plan": plan})
        rollout = create_rollout(world.services, document, by=person("anna"))
        act(world.services, rollout.id, Event.START, by=person("anna"))
        app = start_app(flag=flag)
        for _ in range(5):
            app.count("new", requests=60)
            app.count("old", requests=240, errors=1)
            app.wait_scraped()
            reconcile(world.services, rollout.id)
        # The first thumbs of a process begin a counter, which no rate would see.
        registry, app.registry = app.registry, None
        thumbs = Counter("wavegate_value_total", "Values", ["flag", "variant", "kind"], registry=registry)
        thumbs.labels(flag, "new", "thumbs_up").inc(7)
        app.registry = registry
        app.wait_scraped()
        client = control_plane.client(world.services)

        review = client.get(f"/api/v1/rollouts/{flag}/review").json
        signed = client.post(
            f"/api/v1/rollouts/{flag}/approve", json={"actor": "ada", "comment": "fine", "review": review["digest"]}
        )

    new, old = review["thumbs"]
    assert (new["variant"], new["up"], new["down"], old["up"]) == ("new", 7, 0, 0)
    assert (new["requests"] > 0, old["requests"] > 0) == (True, True)
    assert [each["verdict"] for each in review["gates"]] == ["pass"]
    assert (signed.status_code, signed.json["percent"]) == (200, 50)
