"""The closed loop over a real database: measure, judge, decide, record, publish."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert

from support.database import database
from support.people import person
from support.rollouts import NOW
from support.world import World
from wavegate_controller.documents import RolloutDocument, parse
from wavegate_controller.domain.decision import DecisionReason
from wavegate_controller.domain.errors import Conflict, EventRefused, Invalid, NotFound
from wavegate_controller.domain.measurement import NoData, NoDataReason, Value
from wavegate_controller.domain.rollout import PauseReason, Rollout, State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.service import queries
from wavegate_controller.service.flags import set_enabled
from wavegate_controller.service.publish import publish_latest
from wavegate_controller.service.reconcile import reconcile, tick
from wavegate_controller.service.rollouts import act, create_rollout
from wavegate_controller.store import SqlStore, tables

LATENCY = {"type": "threshold", "name": "latency", "query": 'p95{flag="{{flag}}"}', "operator": "<", "limit": 0.8}


@pytest.fixture
def world(any_database_url: str) -> Iterator[World]:
    with database(any_database_url) as engine:
        world = World.over(SqlStore(engine))
        world.flag()
        yield world


def look(world: World, *, times: int = 1, healthy: bool = True, rollout_id: str = "ai-summaries:1"):
    """Let 15 s pass, users come, and the reconciler look; the last decision."""
    decision = None
    for _ in range(times):
        world.clock.advance(seconds=15)
        world.metrics.count("on", 60, 0 if healthy else 30)
        world.metrics.count("off", 240, 2)
        decision = reconcile(world.services, rollout_id)
    return decision


def test_a_harmless_feature_climbs_wave_by_wave_to_everybody(world: World):
    # The last gate wants to see that there is no harm: so few requests show so much in minutes.
    tolerant = {"gate_absolute_margin": 0.02, "final_margin": 1}
    world.started(gates=[{"type": "error_rate"} | tolerant])
    seen = []

    for _ in range(40):
        look(world)
        seen.append(world.served())
        if world.rollout().state is State.COMPLETED:
            break

    assert world.rollout().state is State.COMPLETED
    assert sorted(set(seen)) == [10_000, 25_000, 50_000, 100_000]
    assert seen == sorted(seen)


def test_a_bad_feature_is_rolled_back_and_the_next_ruleset_serves_it_to_nobody(world: World):
    world.started()
    look(world, times=2)

    decision = look(world, times=2, healthy=False)

    assert decision is None or decision.reason is DecisionReason.BREACH
    assert world.rollout().state is State.ROLLED_BACK
    assert world.served() == 0


def test_every_decision_is_recorded_with_its_query_values_reason_and_revision(world: World):
    world.started(gates=[{"type": "error_rate"}, LATENCY])
    look(world, times=2)

    newest, hold, start = queries.history(world.services, "ai-summaries:1", limit=10, by=person())

    assert (start.event, start.actor, start.reason) == (Event.START, "anna", DecisionReason.REQUESTED)
    assert (hold.event, hold.actor, hold.reason) == (Event.TICK, "wavegate", DecisionReason.NOT_ENOUGH_DATA)
    error_rate, latency = newest.verdicts
    assert error_rate["query"] == (
        '{__name__=~"wavegate_requests_total|wavegate_bad_total",flag="ai-summaries",kind=~"|error",cohort!="targeted"}'
    )
    assert error_rate["figures"]["candidate_requests"] == 60
    assert (latency["query"], latency["value"], latency["limit"]) == ('p95{flag="ai-summaries"}', 0.3, 0.8)
    assert newest.revision == world.ruleset.revision


def test_a_wave_is_held_while_prometheus_is_unreachable_and_goes_on_afterwards(world: World):
    world.started()
    look(world, times=3)
    world.metrics.away = True

    decision = look(world, times=20)

    assert (decision.event, decision.reason) == (Event.TICK, DecisionReason.CANNOT_MEASURE)
    assert world.served() == 10_000
    world.metrics.away = False
    assert look(world).event is Event.PROMOTE


def test_a_wave_is_held_while_the_counters_do_not_say_which_cohort(world: World):
    world.started()
    asked = world.metrics.samples
    world.metrics.samples = lambda *args, **kwargs: tuple(
        replace(each, labels={name: value for name, value in each.labels.items() if name != "cohort"} | {"pod": f"{n}"})
        for n, each in enumerate(asked(*args, **kwargs))
    )

    decision = look(world, times=6)

    assert (decision.event, decision.reason) == (Event.TICK, DecisionReason.CANNOT_MEASURE)
    assert decision.verdicts[0].reason == "cohort_missing"
    assert "guardrail.cohorts to 1" in decision.sentence


def test_what_was_counted_during_an_outage_is_not_lost(world: World):
    world.started()
    look(world)
    world.metrics.away = True
    look(world, times=4)
    world.metrics.away = False

    decision = look(world)

    assert decision.verdicts[0].figures["candidate_requests"] == 60 * 5


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (NoData(reason=NoDataReason.EMPTY_RESULT), "empty_result"),
        (NoData(reason=NoDataReason.NOT_A_NUMBER), "not_a_number"),
    ],
)
def test_a_wave_is_held_by_name_while_a_query_gives_no_number(world: World, answer: NoData, reason: str):
    world.started(gates=[LATENCY])
    world.metrics.value = answer

    decision = look(world, times=20)

    assert (decision.event, decision.reason) == (Event.TICK, DecisionReason.NOT_ENOUGH_DATA)
    assert decision.verdicts[0].reason == reason


def test_a_wave_is_held_while_nobody_uses_the_candidate(world: World):
    world.started()

    for _ in range(20):
        world.clock.advance(seconds=15)
        world.metrics.count("off", 300)
        decision = reconcile(world.services, "ai-summaries:1")

    assert decision.verdicts[0].reason == "too_few_candidate_requests"
    assert world.served() == 10_000


def test_a_breach_after_100_percent_still_rolls_back(world: World):
    world.started(waves=[{"percent": 100, "bake": "10m"}], gates=[LATENCY])
    look(world, times=4)
    world.metrics.value = Value(value=3.0)

    look(world, times=2)

    assert world.rollout().state is State.ROLLED_BACK


def test_a_restarted_rollout_is_a_new_test_that_old_errors_do_not_convict(world: World):
    world.started()
    look(world, times=2)
    look(world, times=3, healthy=False)
    world.metrics.count("on", 500, 500)

    act(world.services, "ai-summaries:1", Event.RESTART, by=person("anna"), comment="fixed the prompt")
    decision = look(world, times=3)

    assert decision.verdicts[0].value < 20
    assert world.rollout().state is State.RUNNING


def test_a_human_who_moves_a_rollout_during_a_look_wins_and_the_look_is_dropped(world: World):
    world.started()
    look(world, times=2)
    asked = world.metrics.samples

    def meanwhile(*args, **kwargs):
        act(world.services, "ai-summaries:1", Event.PAUSE, by=person("ben"))
        return asked(*args, **kwargs)

    world.metrics.samples = meanwhile
    decision = look(world)

    assert decision is None
    assert world.rollout().state is State.PAUSED


def test_a_look_that_was_dropped_is_counted_by_the_next_one(world: World):
    world.started()
    look(world)
    asked = world.metrics.samples

    def meanwhile(*args, **kwargs):
        world.metrics.samples = asked
        act(world.services, "ai-summaries:1", Event.PAUSE, by=person("ben"))
        act(world.services, "ai-summaries:1", Event.RESUME, by=person("ben"))
        return asked(*args, **kwargs)

    world.metrics.samples = meanwhile
    look(world)
    decision = look(world)

    assert decision.verdicts[0].figures["candidate_requests"] == 120


def test_a_paused_rollout_is_still_watched(world: World):
    world.started()
    look(world, times=2)
    act(world.services, "ai-summaries:1", Event.PAUSE, by=person("ben"))

    look(world, times=3, healthy=False)

    assert world.rollout().state is State.ROLLED_BACK


def test_a_breach_may_pause_instead_and_the_pause_is_the_humans(world: World):
    world.started(on_breach="pause")
    look(world, times=2)

    look(world, times=5, healthy=False)

    assert world.rollout().state is State.PAUSED
    assert world.rollout().pause_reason is PauseReason.BREACH
    assert world.served() == 10_000


def test_the_tick_looks_at_what_is_due_and_only_then(world: World):
    world.started()
    world.flag("ai-answers")
    world.started("ai-answers")
    with ThreadPoolExecutor(2) as executor:
        assert tick(world.services, executor) == 0
        world.clock.advance(seconds=15)
        assert tick(world.services, executor) == 2
        assert tick(world.services, executor) == 0


def test_one_broken_rollout_does_not_stop_the_others(world: World):
    world.started()
    world.flag("ai-answers")
    world.started("ai-answers")
    asked = world.metrics.samples

    def bug(selector, **kwargs):
        if "ai-summaries" in selector.flags:
            raise RuntimeError("a bug of ours")
        return asked(selector, **kwargs)

    world.metrics.samples = bug
    world.clock.advance(seconds=15)
    with ThreadPoolExecutor(2) as executor:
        looked = tick(world.services, executor)

    assert looked == 2
    assert queries.rollout_view(world.services, "ai-answers", by=person()).latest.event is Event.TICK
    assert b"wavegate_controller_reconcile_failures_total 1.0" in world.services.recorder.exposition()


def test_rollouts_that_hold_share_a_commit_and_one_that_cannot_be_judged_is_left_out_of_it(world: World):
    keys = ("ai-summaries", "ai-answers", "ai-search")
    world.started()
    for key in keys[1:]:
        world.flag(key)
        world.started(key)
    from_the_future = {"at": NOW + timedelta(seconds=1), "gate": "error-rate", "kind": "hunch", "payload": {}}
    with world.services.store._engine.begin() as connection:
        connection.execute(insert(tables.measurement).values(rollout_id="ai-answers:1", **from_the_future))
    world.clock.advance(seconds=15)
    with ThreadPoolExecutor(2) as executor:
        tick(world.services, executor)

    latest = [queries.history(world.services, f"{key}:1", limit=1, by=person())[0].event for key in keys]
    assert latest == [Event.TICK, Event.START, Event.TICK]
    with world.services.store.transaction() as work:
        assert sorted(work.evidence.cursors([f"{key}:1" for key in keys])) == ["ai-search:1", "ai-summaries:1"]


def test_a_commit_that_fails_keeps_nothing_and_the_next_look_counts_it_again(world: World):
    world.started()
    look(world)

    class FullDisk:
        """Fails the commit, like a disk does, in whatever transaction has written evidence."""

        @contextmanager
        def transaction(self):
            with store.transaction() as work:
                yield work
                if work.evidence.since("ai-summaries:1", world.clock.now() - timedelta(seconds=1)):
                    raise OSError("disk full")

    store, services = world.services.store, world.services
    world.services = replace(services, store=FullDisk())
    with pytest.raises(OSError, match="disk full"):
        look(world)
    world.services = services

    assert look(world).verdicts[0].figures["candidate_requests"] == 120


def test_a_disabled_flag_is_off_in_the_next_ruleset_whatever_its_rollout(world: World):
    world.started()

    set_enabled(world.services, "ai-summaries", enabled=False, by=person())

    assert world.ruleset.flags["ai-summaries"].enabled is False
    revision = world.ruleset.revision
    set_enabled(world.services, "ai-summaries", enabled=False, by=person())
    assert world.ruleset.revision == revision


def test_a_hold_publishes_nothing(world: World):
    world.started()
    revision = world.ruleset.revision

    look(world, times=3)

    assert world.ruleset.revision == revision


def test_the_stored_ruleset_is_served_after_a_restart(world: World):
    world.started()
    again = World.over(world.services.store)

    publish_latest(again.services)

    assert again.ruleset == world.ruleset


class TestRequests:
    """What a person asks for is done or refused, with nothing in between."""

    def test_unknown_flag(self, world: World):
        with pytest.raises(NotFound, match="ai-nothing"):
            world.draft("ai-nothing")

    def test_broken_promql_is_refused_with_prometheus_own_words(self, world: World):
        with pytest.raises(Invalid, match="unclosed left parenthesis") as refused:
            world.draft(gates=[LATENCY | {"query": "sum((x"}])

        assert refused.value.field == "plan.gates[0].query"

    def test_a_second_rollout_of_a_flag_waits_for_the_first_to_end(self, world: World):
        world.draft()

        with pytest.raises(Conflict, match="ai-summaries:1"):
            world.draft()

    def test_a_second_rollout_starts_from_what_the_first_left(self, world: World):
        world.flag("answer-model", variants={"small": 1, "large": 2, "huge": 3}, default_variant="small")

        def rollout(candidate: str, **fields) -> Rollout:
            document = parse(RolloutDocument, {"flag": "answer-model", "candidate": candidate} | fields)
            return create_rollout(world.services, document, by=person("anna"))

        self.started_fully(world, "large")

        with pytest.raises(Invalid, match="stable"):
            rollout("huge", stable="small")
        second = rollout("huge")
        assert (second.id, second.stable) == ("answer-model:2", "large")

    def test_an_event_that_the_state_does_not_take_changes_nothing(self, world: World):
        draft = world.draft()

        with pytest.raises(EventRefused, match="draft"):
            act(world.services, draft.id, Event.PROMOTE, by=person("anna"), comment="now")

        assert world.rollout() == draft

    @pytest.mark.parametrize("event", [Event.TICK, Event.COMPLETE, Event.AWAIT_APPROVAL])
    def test_the_reconcilers_own_events_are_not_for_people(self, world: World, event: Event):
        world.started()

        with pytest.raises(Invalid, match="event"):
            act(world.services, "ai-summaries:1", event, by=person("anna"))

    def test_a_promotion_is_signed_with_a_reason(self, world: World):
        world.started()

        with pytest.raises(Invalid, match="comment"):
            act(world.services, "ai-summaries:1", Event.PROMOTE, by=person("anna"), comment=" ")
        promoted = act(world.services, "ai-summaries:1", Event.PROMOTE, by=person("anna"), comment="asked the team")

        assert promoted.weight == 25_000
        assert "asked the team" in queries.history(world.services, promoted.id, limit=1, by=person())[0].sentence

    def test_nothing_is_done_anonymously(self, world: World):
        world.started()

        with pytest.raises(Invalid, match="actor"):
            act(world.services, "ai-summaries:1", Event.ROLL_BACK, by=person(" "))

    def test_a_completed_rollout_can_still_be_rolled_back_at_once(self, world: World):
        world.started(waves=[{"percent": 100, "bake": "1m"}])
        act(world.services, "ai-summaries:1", Event.PROMOTE, by=person("anna"), comment="done")

        act(world.services, "ai-summaries:1", Event.ROLL_BACK, by=person("ben"))

        assert world.served() == 0

    def test_a_draft_that_was_overtaken_by_a_roll_back_is_not_started(self, world: World):
        world.flag("answer-model", variants={"small": 1, "large": 2, "huge": 3}, default_variant="small")
        first = self.started_fully(world, "large")
        draft = create_rollout(
            world.services, parse(RolloutDocument, {"flag": "answer-model", "candidate": "huge"}), by=person("anna")
        )
        act(world.services, first.id, Event.ROLL_BACK, by=person("ben"))

        with pytest.raises(Conflict, match="serves 'small' now"):
            act(world.services, draft.id, Event.START, by=person("anna"))

    @staticmethod
    def started_fully(world: World, candidate: str) -> Rollout:
        document = {"flag": "answer-model", "candidate": candidate, "plan": {"waves": [{"percent": 100}]}}
        first = create_rollout(world.services, parse(RolloutDocument, document), by=person("anna"))
        act(world.services, first.id, Event.START, by=person("anna"))
        return act(world.services, first.id, Event.PROMOTE, by=person("anna"), comment="seen enough")

    def test_an_old_rollout_cannot_be_restarted_over_a_newer_one(self, world: World):
        world.started()
        act(world.services, "ai-summaries:1", Event.ROLL_BACK, by=person("ben"))
        world.clock.advance(seconds=1)
        world.started()

        with pytest.raises(Conflict, match="ai-summaries:2"):
            act(world.services, "ai-summaries:1", Event.RESTART, by=person("ben"), comment="again")
