"""A dry run judges and records as if it acted, moves nothing, and is compared with what people do."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from support import control_plane
from support.database import database
from support.inline import InlineExecutor
from support.pages import pages_for, text_of
from support.people import person
from support.world import World
from wavegate_controller.domain.alerting import Alert, AlertAction, AlertOutcome, AlertPolicy
from wavegate_controller.domain.measurement import Broken, BrokenReason, NoData, NoDataReason, Value
from wavegate_controller.service.alerts import report_alerts
from wavegate_controller.service.publish import publish_latest
from wavegate_controller.service.reconcile import tick
from wavegate_controller.store import SqlStore
from wavegate_controller.terminal import rollout_panel, rollouts_table

GATE = {"type": "threshold", "name": "latency", "query": "p95", "operator": "<", "limit": 0.8, "failures": 1, "of": 1}
TRIED = GATE | {"name": "tried", "query": "p99", "limit": 0.2, "dry_run": True}
WAVES = [{"percent": share, "bake": "1m"} for share in (10, 50, 100)]
GOOD, BAD = Value(value=0.3), Value(value=2.0)
READINGS = (
    GOOD,
    BAD,
    NoData(reason=NoDataReason.EMPTY_RESULT),
    Broken(reason=BrokenReason.UNREACHABLE, detail="connection refused"),
)


class Story:
    """A world with a flag, and what is asked of it by HTTP."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.client = control_plane.client(world.services)

    def ask(self, method: str, path: str, *, status: int = 200, **body: Any) -> Any:
        sent = {} if method == "GET" else {"json": body}
        answer = self.client.open(f"/api/v1/{path}", method=method, **sent)
        assert answer.status_code == status, answer.json
        return answer.json

    def begin(self, flag: str = "ai", **plan: Any) -> None:
        self.ask("POST", "flags", status=201, key=flag)
        plan = {"waves": WAVES, "gates": [GATE]} | plan
        made = self.ask("POST", "rollouts", status=201, flag=flag, actor="anna", plan=plan)
        self.act("start", made["id"])

    def act(self, event: str, reference: str = "ai:1") -> Any:
        return self.ask("POST", f"rollouts/{reference}/{event}", actor="bert", comment="because")

    def pass_time(self, reading: Any, *, seconds: int) -> None:
        self.world.metrics.value = reading
        for _ in range(seconds // 15):
            self.world.clock.advance(seconds=15)
            tick(self.world.services, InlineExecutor())

    def look(self, reading: Any = GOOD, *, seconds: int = 75) -> Any:
        self.pass_time(reading, seconds=seconds)
        return self.ask("GET", "rollouts/ai:1")

    def moves(self) -> list[Any]:
        return list(reversed(self.ask("GET", "rollouts/ai:1/decisions?moves_only=true")["items"]))

    def compared(self) -> list[str]:
        return [each["outcome"] for each in self.ask("GET", "rollouts/ai:1/comparison")["compared"]]


@pytest.fixture
def story(any_database_url: str) -> Iterator[Story]:
    with database(any_database_url) as engine:
        story = Story(World.over(SqlStore(engine)))
        publish_latest(story.world.services)
        yield story


def test_what_would_have_been_done_is_noted_once_and_nothing_moves(story: Story):
    story.begin(dry_run=True)
    for _ in range(3):
        shown = story.look()

    assert (shown["percent"], shown["state"]) == (10, "running")
    assert [(each["event"], each["would"], each["reason"]) for each in story.moves()[1:]] == [
        ("dry_run", "promote", "gates_passed")
    ]
    assert shown["latest_decision"]["sentence"].startswith("dry run, so nothing moves; would promote: ")


def test_a_breach_in_a_dry_run_is_told_and_rolls_nothing_back(story: Story):
    story.begin(dry_run=True)
    shown = story.look(BAD)
    entries = story.ask("GET", "audit?action=rollout.dry_run")["items"]

    assert (shown["percent"], shown["latest_decision"]["would"]) == (10, "roll_back")
    assert [each["evidence"]["would"] for each in entries] == ["roll_back"]


@pytest.mark.parametrize("reading", [GOOD, BAD])
def test_a_decision_of_a_dry_run_comes_out_the_same_when_it_is_made_again(story: Story, reading: Any):
    story.begin(dry_run=True)
    story.look(reading)
    decision = story.look(reading)["latest_decision"]

    assert story.ask("GET", f"decisions/{decision['id']}/explanation")["agrees"] is True


def test_an_environment_in_dry_run_moves_none_of_its_rollouts_until_it_ends(story: Story):
    story.ask("PATCH", "environments/production", dry_run=True, actor="root")
    story.begin()
    held = story.look()
    story.ask("PATCH", "environments/production", dry_run=False, actor="root")
    moved = story.look(seconds=15)

    assert (held["percent"], held["latest_decision"]["would"]) == (10, "promote")
    assert (moved["percent"], moved["latest_decision"]["would"]) == (50, None)


def test_a_gate_in_dry_run_says_what_it_would_have_done_and_holds_nothing(story: Story):
    story.begin(gates=[GATE, TRIED])
    shown = story.look(seconds=15)
    later = story.look()

    assert (shown["percent"], shown["latest_decision"]["event"], shown["latest_decision"]["would"]) == (
        10,
        "dry_run",
        "roll_back",
    )
    assert [each["kind"] for each in shown["latest_decision"]["verdicts"]] == ["pass", "breach"]
    assert (later["percent"], later["latest_decision"]["would"]) == (50, "roll_back")


@pytest.mark.parametrize(
    ("gates", "field"),
    [([{"type": "error_rate", "dry_run": True}, GATE], "plan.gates[0].dry_run"), ([TRIED], "plan.gates")],
)
def test_a_dry_run_that_cannot_be_is_refused(story: Story, gates: list[Any], field: str):
    story.ask("POST", "flags", status=201, key="ai")
    problem = story.ask("POST", "rollouts", status=422, flag="ai", plan={"gates": gates}, actor="anna")

    assert problem["errors"][0]["field"] == field


@pytest.mark.parametrize("action", ["pause", "roll_back", "disable"])
def test_an_alert_moves_nothing_in_a_dry_run_and_is_compared_with_what_people_do(story: Story, action: str):
    story.begin(dry_run=True)
    now = story.world.clock.now()
    alert = Alert(
        fingerprint="a1",
        starts_at=now,
        labels={"alertname": "TooSlow", "flag": "ai", "wavegate_action": action},
        is_firing=True,
    )
    revision = story.world.ruleset.revision
    services = replace(story.world.services, alerts=AlertPolicy(allowed=frozenset(AlertAction)))
    ((record, _),) = report_alerts(services, [alert], by=person("root"))
    noted = story.moves()[-1]
    story.act("roll_back")

    assert (record.action, record.outcome) == (action, AlertOutcome.DRY_RUN)
    assert story.ask("GET", "flags/ai")["enabled"] is True
    assert (noted["event"], noted["reason"], noted["percent"], noted["revision"]) == ("dry_run", "alert", 10, revision)
    assert noted["sentence"].startswith(f"dry run, so nothing moves; would {action.replace('_', ' ')}: ")
    assert story.compared() == ["agreed"]


def test_a_dry_run_ends_under_way_with_a_reason_and_what_was_decided_in_it_still_comes_out_the_same(story: Story):
    story.begin(dry_run=True)
    noted = story.look()["latest_decision"]
    unsigned = story.ask("POST", "rollouts/ai:1/dry_run", status=422, actor="bert", dry_run=False)
    ended = story.ask(
        "POST", "rollouts/ai:1/dry_run", actor="bert", dry_run=False, comment="it agreed with us for a week"
    )
    moved = story.look(seconds=15)
    (entry,) = story.ask("GET", "audit?action=rollout.set_dry_run")["items"]
    explained = [
        story.ask("GET", f"decisions/{each}/explanation")["agrees"]
        for each in (noted["id"], moved["latest_decision"]["id"])
    ]

    assert unsigned["errors"][0]["field"] == "comment"
    assert (ended["dry_run"], ended["percent"]) == (None, 10)
    assert (moved["percent"], moved["latest_decision"]["would"]) == (50, None)
    assert (entry["before"]["dry_run"], entry["after"]["dry_run"], entry["reason"]) == (
        True,
        False,
        "it agreed with us for a week",
    )
    assert explained == [True, True]


def test_a_dry_run_begins_under_way_and_nothing_automatic_moves_it_any_more(story: Story):
    story.begin()
    begun = story.ask("POST", "rollouts/ai:1/dry_run", actor="bert", dry_run=True, comment="the gates are new")
    held = story.look()

    assert begun["dry_run"] == "plan"
    assert (held["percent"], held["latest_decision"]["would"]) == (10, "promote")


def test_a_rollout_that_has_ended_takes_no_dry_run(story: Story):
    story.begin()
    story.act("cancel")

    refused = story.ask("POST", "rollouts/ai:1/dry_run", status=409, actor="bert", dry_run=True, comment="why not")

    assert "nothing moves it any more" in refused["detail"]


def test_it_says_whose_dry_run_it_is_and_a_note_hides_no_move(story: Story):
    story.begin(dry_run=True)
    story.world.clock.advance(seconds=15)
    story.ask("POST", "rollouts/ai:1/pause", actor="bert")
    story.look(BAD)
    shown = story.ask("GET", "rollouts/ai:1")
    reasoned = story.ask("POST", "rollouts/ai:1/reason", actor="bert", comment="the vendor is away")
    story.ask("PATCH", "environments/production", dry_run=True, actor="root")
    whose = [story.ask("GET", "rollouts/ai:1")["dry_run"], story.ask("GET", "flags/ai")["rollout"]["dry_run"]]

    assert (shown["dry_run"], shown["latest_decision"]["would"]) == ("plan", "roll_back")
    assert shown["moved_by"]["event"] == reasoned["moved_by"]["event"] == "pause"
    assert whose == ["environment", "environment"]


def test_a_file_begins_and_ends_the_dry_run_of_a_rollout_under_way(story: Story):
    def apply(**plan: Any) -> Any:
        spec = {"flag": "ai", "start": True, "plan": {"waves": WAVES, "gates": [GATE]} | plan}
        documents = [{"apiVersion": "wavegate/v1", "kind": "Rollout", "spec": spec}]
        return story.ask("POST", "configuration/apply", documents=documents, actor="anna")

    story.ask("POST", "flags", status=201, key="ai")
    made, changed = apply(dry_run=True), apply(dry_run=False)
    moved = story.look()

    assert [each["changes"][0]["action"] for each in (made, changed)] == ["create", "update"]
    assert (moved["id"], moved["dry_run"], moved["percent"]) == ("ai:1", None, 50)


def test_pages_say_that_it_is_a_dry_run_compare_it_and_end_it(story: Story):
    story.begin(dry_run=True)
    story.look()
    story.act("promote")
    browser = pages_for(story.world.services)

    overview, page = browser.get("/").text, browser.get("/flags/ai").text
    compared = text_of(browser.get("/flags/ai/comparison").text)
    version = story.ask("GET", "rollouts/ai:1")["version"]
    form = {"rollout": "ai:1", "version": version, "dry_run": "false"}
    refused = browser.post("/flags/ai/dry-run", data=form)
    ended = browser.post("/flags/ai/dry-run", data=form | {"comment": "it agreed with us"})

    assert 'href="/flags/ai/comparison">dry run</a>' in overview
    assert "Everything is judged and recorded, and only people move it." in text_of(page)
    assert "would promote" in compared
    assert "agreed 1" in compared
    assert (refused.status_code, ended.status_code) == (422, 303)
    assert 'id="dry-run"' not in browser.get("/flags/ai").text


def test_a_terminal_shows_a_dry_run(story: Story):
    story.begin(dry_run=True)
    document = story.look()
    console = Console(width=110, record=True)

    console.print(rollout_panel(document))
    console.print(rollouts_table([document]))

    text = console.export_text()
    assert text.count("running · dry run") == 2
    assert "Ends by `wavegate rollout dry-run ai:1 --off -m WHY`" in text


def test_the_report_says_who_was_sooner_and_who_was_right(story: Story):
    story.begin(dry_run=True)
    story.look()
    story.act("promote")  # at once, as the dry run would have
    story.act("promote")  # before the gates have passed
    story.look(BAD)
    story.world.clock.advance(minutes=20)
    story.act("roll_back")  # much later

    assert story.compared() == ["agreed", "earlier", "later"]


def test_the_report_says_what_the_dry_run_missed_cried_about_and_waits_for(story: Story):
    story.begin(dry_run=True)
    story.look(BAD)
    story.act("promote")
    story.act("pause")
    story.act("resume")
    story.look()

    assert story.compared() == ["false_alarm", "earlier", "missed", "open"]


def test_nothing_automatic_changes_the_ruleset_in_a_dry_run(story: Story):
    numbers = count(1)

    @settings(max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(READINGS),
                st.sampled_from([15, 75, 150]),
                st.sampled_from([None, None, "promote", "pause", "resume", "step_back", "pin", "unpin"]),
            ),
            min_size=3,
            max_size=8,
        )
    )
    def whatever_comes(moments: list[Any]) -> None:
        flag = f"ai-{next(numbers)}"
        story.begin(flag, dry_run=True, on_no_data={"act": "roll_back", "after": "2m"}, final_bake="2m")
        for reading, seconds, event in moments:
            if event is not None:
                body = {"actor": "bert", "comment": "because"}
                story.client.post(f"/api/v1/rollouts/{flag}:1/{event}", json=body)
            before = story.world.ruleset.revision
            story.pass_time(reading, seconds=seconds)
            assert story.world.ruleset.revision == before

    whatever_comes()
