"""What Alertmanager reports acts once for each firing, in every state, and never more than the settings allow."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from support import control_plane
from support.alertmanager import a_report, an_alert
from support.people import person
from support.world import World
from wavegate_controller.documents import parse
from wavegate_controller.documents.alerts import AlertmanagerDocument
from wavegate_controller.domain.access import Kind, Permission, Principal, Role
from wavegate_controller.domain.alerting import AlertAction, AlertOutcome, AlertPolicy
from wavegate_controller.domain.audit import AuditFilter
from wavegate_controller.domain.errors import Forbidden
from wavegate_controller.domain.rollout import PauseReason, State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.service import alerts, flags
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.service.rollouts import act
from wavegate_controller.store import SqlStore, open_engine

HOOK = "/api/v1/hooks/alertmanager"
ADA = person("ada")
REPORTER = Principal(name="alertmanager", kind=Kind.TOKEN, roles={"production": Role.REPORTER})


@pytest.fixture
def world(any_database_url):
    engine = open_engine(any_database_url)
    world = World.over(SqlStore(engine))
    world.flag()
    yield world
    engine.dispose()


def report(world, *some, by=REPORTER, **policy):
    services = replace(world.services, alerts=AlertPolicy(**policy))
    read = [each.to_domain() for each in parse(AlertmanagerDocument, a_report(*some)).alerts]
    return [(record.outcome.value, is_new) for record, is_new in alerts.report_alerts(services, read, by=by)]


def noted(world, action):
    with world.services.store.transaction() as work:
        return work.audit.list(AuditFilter(action=action), limit=50)


def test_a_firing_alert_that_names_a_flag_takes_its_rollout_back_and_is_told_why(world):
    world.started()
    outcome = report(world, an_alert())

    assert outcome == [("rolled_back", True)]
    assert (world.rollout().state, world.served()) == (State.ROLLED_BACK, 0)
    (moved,) = noted(world, "rollout.roll_back")
    assert (moved.note.actor, moved.note.evidence["reason"]) == ("alertmanager", "alert")
    assert moved.note.evidence["sentence"] == "alert ErrorRateHigh fires: Error rate of summaries is 3.7%"
    (fired,) = noted(world, "alert")
    assert (fired.note.action, fired.note.evidence["fingerprint"]) == ("alert.fire", "dc8449e988612c64")


def test_the_label_says_what_is_done_within_what_the_settings_allow(world):
    world.started()

    assert report(world, an_alert(wavegate_action="record")) == [("recorded", True)]
    assert world.rollout().state is State.RUNNING
    assert report(world, an_alert(wavegate_action="pause", fingerprint="2")) == [("paused", True)]
    assert (world.rollout().state, world.rollout().pause_reason) == (State.PAUSED, PauseReason.ALERT)
    assert report(world, an_alert(wavegate_action="disable", fingerprint="3")) == [("rolled_back", True)]
    everything = frozenset(AlertAction)
    assert report(world, an_alert(wavegate_action="disable", fingerprint="4"), allowed=everything) == [
        ("disabled", True)
    ]
    assert not flags.get_flag(world.services, "ai-summaries", by=ADA).enabled


def test_each_environment_has_its_own_default(world):
    world.started()

    assert report(world, an_alert(), default={"production": AlertAction.PAUSE, "*": AlertAction.RECORD}) == [
        ("paused", True)
    ]


def test_what_is_reported_again_does_nothing_again_even_after_a_person_went_on(world):
    world.started()
    first = report(world, an_alert(), default={"*": AlertAction.PAUSE})
    act(world.services, "ai-summaries:1", Event.RESUME, by=ADA)
    again = report(world, an_alert(), an_alert(), default={"*": AlertAction.PAUSE})
    anew = report(world, an_alert(starts_at="2026-01-01T13:00:00Z"), default={"*": AlertAction.PAUSE})

    assert (first, again, anew) == ([("paused", True)], [("paused", False)] * 2, [("paused", True)])
    assert len(noted(world, "rollout.pause")) == 2


def test_the_end_of_an_alert_is_written_down_and_moves_nothing(world):
    world.started()
    report(world, an_alert(), default={"*": AlertAction.PAUSE})
    version = world.rollout().version
    ended = report(world, an_alert(status="resolved"))

    assert ended == [("resolved", True)]
    assert (world.rollout().state, world.rollout().version) == (State.PAUSED, version)
    assert [each.note.action for each in noted(world, "alert")] == ["alert.resolve", "alert.fire"]


def draft(world):
    world.draft()


def running(world):
    world.started()


def paused(world):
    act(world.services, world.started().id, Event.PAUSE, by=ADA)


def awaiting_approval(world):
    fine = {"type": "threshold", "name": "p95", "query": "up", "operator": "<", "limit": 0.5}
    world.started(waves=[{"percent": 10, "bake": "1m", "approval": "manual"}, {"percent": 100}], gates=[fine])
    for _ in range(20):
        world.clock.advance(seconds=15)
        reconcile(world.services, "ai-summaries:1")
    assert world.rollout().state is State.AWAITING_APPROVAL


def completed(world):
    rollout = world.started(waves=[{"percent": 100, "bake": "1m"}])
    act(world.services, rollout.id, Event.PROMOTE, by=ADA, comment="fine")
    assert world.rollout().state is State.COMPLETED


def rolled_back(world):
    act(world.services, world.started().id, Event.ROLL_BACK, by=ADA)


def cancelled(world):
    act(world.services, world.started().id, Event.CANCEL, by=ADA)


def pinned(world):
    act(world.services, world.started().id, Event.PIN, by=ADA, comment="we measure by hand")


def nothing(_):
    pass


@pytest.mark.parametrize(
    ("standing", "roll_back", "pause"),
    [
        (nothing, "nothing_to_do", "nothing_to_do"),
        (draft, "nothing_to_do", "nothing_to_do"),
        (running, "rolled_back", "paused"),
        (awaiting_approval, "rolled_back", "paused"),
        (paused, "rolled_back", "nothing_to_do"),
        (pinned, "pinned", "pinned"),
        (completed, "rolled_back", "nothing_to_do"),
        (rolled_back, "nothing_to_do", "nothing_to_do"),
        (cancelled, "nothing_to_do", "nothing_to_do"),
    ],
)
def test_an_alert_acts_whatever_the_state_and_never_raises_exposure(world, standing, roll_back, pause):
    standing(world)
    before = world.served()
    paused_by = report(world, an_alert(fingerprint="1", wavegate_action="pause"))
    after_pause = world.served()
    taken_back = report(world, an_alert(fingerprint="2"))
    after_roll_back = world.served()

    assert (paused_by, taken_back) == ([(pause, True)], [(roll_back, True)])
    assert before >= after_pause >= after_roll_back
    everything = frozenset(AlertAction)
    for outcome, fingerprint in (("disabled", "3"), ("nothing_to_do", "4")):
        stop = an_alert(fingerprint=fingerprint, wavegate_action="disable")
        assert report(world, stop, allowed=everything) == [(outcome, True)]


def test_a_flag_without_a_rollout_under_way_is_stopped_where_the_settings_say_so(world):
    rolled_back(world)

    assert report(world, an_alert(), without_rollout=AlertAction.DISABLE) == [("disabled", True)]
    assert not flags.get_flag(world.services, "ai-summaries", by=ADA).enabled


def test_a_paused_rollout_is_under_way_so_a_pause_stops_nothing(world):
    paused(world)
    pause = an_alert(wavegate_action="pause")

    assert report(world, pause, without_rollout=AlertAction.DISABLE) == [("nothing_to_do", True)]
    assert flags.get_flag(world.services, "ai-summaries", by=ADA).enabled


@pytest.mark.parametrize(
    ("alert", "outcome"),
    [
        (an_alert(flag="ghost"), "unknown_flag"),
        (an_alert(flag=None), "no_flag"),
        (an_alert(flag=None, flags="ai-summaries"), "no_flag"),
        (an_alert(wavegate_environment="ghost"), "unknown_environment"),
    ],
)
def test_what_names_nothing_that_there_is_is_written_down_and_no_error(world, alert, outcome):
    world.started()

    assert report(world, alert) == [(outcome, True)]
    assert report(world, alert) == [(outcome, False)]
    assert world.rollout().state is State.RUNNING


def test_which_label_names_the_flag_is_a_setting(world):
    world.started()

    assert report(world, an_alert(flag=None, feature="ai-summaries"), flag_labels=("feature",)) == [
        ("rolled_back", True)
    ]


def test_a_reporter_may_report_for_its_environment_and_do_nothing_else(world):
    elsewhere = Principal(name="other", kind=Kind.TOKEN, roles={"staging": Role.REPORTER})

    with pytest.raises(Forbidden):
        report(world, an_alert(), by=elsewhere)
    with pytest.raises(Forbidden):
        report(world, an_alert(), by=person("eve", Role.VIEWER))
    with pytest.raises(Forbidden):
        act(world.services, world.started().id, Event.PAUSE, by=REPORTER)
    with pytest.raises(Forbidden):
        flags.list_flags(world.services, by=REPORTER)
    assert {each for each in Permission if Role.REPORTER.allows(each)} == {Permission.REPORT_ALERTS}


def test_the_same_alert_from_several_alertmanagers_at_once_acts_once(world):
    world.started()
    start = threading.Barrier(6)
    outcomes, failures = [], []

    def send():
        start.wait(timeout=10)
        try:
            outcomes.extend(report(world, an_alert()))
        except Exception as failure:  # noqa: BLE001 - shown below, in the test's thread
            failures.append(failure)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert sorted(outcomes) == [("rolled_back", False)] * 5 + [("rolled_back", True)]
    assert len(noted(world, "rollout.roll_back")) == 1


# Over HTTP


@pytest.fixture
def api(new_sqlite_url):
    with control_plane.world(new_sqlite_url) as world:
        world.flag()
        world.started()
        yield control_plane.client(world.services)


def test_a_report_is_answered_with_what_came_of_each_alert(api):
    mixed = a_report(
        an_alert(),
        an_alert(flag="ghost", fingerprint="2"),
        an_alert(status="resolved", fingerprint="3", starts_at="2026-01-01T10:00:00.123456789Z"),
    )
    first, second = api.post(HOOK, json=mixed), api.post(HOOK, json=mixed)

    assert (first.status_code, second.status_code) == (200, 200)
    assert [each["outcome"] for each in first.json["alerts"]] == ["rolled_back", "unknown_flag", "resolved"]
    assert first.json["alerts"][1]["detail"] == "there is no flag 'ghost'"
    assert [each["is_new"] for each in first.json["alerts"] + second.json["alerts"]] == [True] * 3 + [False] * 3
    listed = api.get("/api/v1/alerts?limit=2").json
    rest = api.get(f"/api/v1/alerts?limit=2&cursor={listed['next']}").json
    assert [each["fingerprint"] for each in listed["items"] + rest["items"]] == ["3", "2", "dc8449e988612c64"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"version": "5"}, "version"),
        ({"alerts": "none"}, "alerts"),
        ({"alerts": [{"status": "firing"}]}, "alerts[0].labels"),
        ({"alerts": [an_alert() | {"startsAt": "yesterday"}]}, "alerts[0].startsAt"),
        ({"alerts": [an_alert() | {"status": "burning"}]}, "alerts[0].status"),
    ],
)
def test_what_can_never_be_understood_is_refused_for_good(api, changes, field):
    refused = api.post(HOOK, json=a_report(an_alert()) | changes)

    assert refused.status_code == 422
    assert refused.json["errors"][0]["field"] == field


def test_what_is_no_json_is_refused_for_good(api):
    assert api.post(HOOK, data=b"{", content_type="application/json").status_code == 400


def test_what_could_not_be_written_down_is_reported_again(new_sqlite_url):
    with control_plane.world(new_sqlite_url) as world:
        client = control_plane.client(control_plane.without_database(world.services))

    assert client.post(HOOK, json=a_report(an_alert())).status_code == 500


def test_alerts_are_counted_by_what_came_of_them(world):
    world.started()
    report(world, an_alert(), an_alert(), an_alert(flag="ghost", fingerprint="2"))
    exposed = world.services.recorder.exposition().decode()

    assert 'wavegate_controller_alerts_total{outcome="rolled_back"} 1.0' in exposed
    assert 'wavegate_controller_alerts_total{outcome="unknown_flag"} 1.0' in exposed


def test_every_outcome_and_every_action_is_on_the_page():
    page = (Path(__file__).parents[2] / "docs" / "alertmanager.md").read_text(encoding="utf-8")

    assert [word.value for word in (*AlertOutcome, *AlertAction) if f"`{word}`" not in page] == []
