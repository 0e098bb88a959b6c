"""What goes into the store comes out of it, every kind of it."""

from dataclasses import replace
from datetime import UTC, timedelta, timezone

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import StatementError

from support.database import database
from support.rollouts import NOW, a_flag, a_rollout, counts
from wavegate.evaluation import Generation
from wavegate_controller.domain.counts import series_key
from wavegate_controller.domain.decision import DecisionReason
from wavegate_controller.domain.errors import NotFound, StaleVersion
from wavegate_controller.domain.guardrail import Exposure, Increment
from wavegate_controller.domain.measurement import (
    Broken,
    BrokenReason,
    Counts,
    Cursor,
    Measurement,
    NoData,
    NoDataReason,
    Value,
)
from wavegate_controller.domain.plan import (
    Approval,
    ErrorRateGate,
    GuardrailSettings,
    OnBreach,
    OnInconclusive,
    Operator,
    Plan,
    ThresholdGate,
    Wave,
)
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.domain.record import DecisionRecord
from wavegate_controller.domain.rollout import PauseReason, State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.store import SqlStore, tables
from wavegate_controller.store.mapping import cursor_to_row

FLAG = a_flag()
ROLLOUT = a_rollout(state=State.DRAFT, wave=None)
DECISION = DecisionRecord(
    rollout_id=ROLLOUT.id,
    at=NOW,
    actor="wavegate",
    event=Event.TICK,
    reason=DecisionReason.BAKING,
    sentence="all gates pass; baking until 13:00:00 UTC",
    comment="",
    state_before=State.RUNNING,
    state=State.RUNNING,
    wave=0,
    weight=10_000,
    revision=2,
    verdicts=(),
)


@pytest.fixture
def engine(database_url):
    with database(database_url) as engine:
        yield engine


@pytest.fixture
def store(engine):
    store = SqlStore(engine)
    with store.transaction() as work:
        work.flags.add(FLAG)
        work.rollouts.add(ROLLOUT)
    return store


@pytest.mark.parametrize(
    "flag",
    [
        replace(FLAG, key="plain"),
        replace(
            FLAG,
            key="answer-model",
            variants={
                "small": {"model": "s", "temperature": 0.1, "stop": ["\n", "ü", None]},
                "large": {"model": "l", "max_tokens": 2**60},
                "none": None,
            },
            default_variant="small",
            description="Which model answers — größer ist teurer",
            enabled=False,
            salt="pepper",
            bucket_by="company",
            generation=Generation.V2,
            updated_at=NOW + timedelta(microseconds=1),
            version=7,
        ),
    ],
    ids=lambda flag: flag.key,
)
def test_a_flag_comes_back_as_it_was_stored(store, flag):
    with store.transaction() as work:
        work.flags.add(flag)

    with store.transaction() as work:
        assert work.flags.get("production", flag.key) == flag


@pytest.mark.parametrize(
    "rollout",
    [
        replace(ROLLOUT, id="a-draft"),
        replace(
            ROLLOUT,
            id="a-paused-one",
            plan=Plan(
                waves=(
                    Wave(weight=1, bake=timedelta(milliseconds=1), approval=Approval.MANUAL),
                    Wave(weight=33_333, bake=timedelta(days=400, seconds=1, milliseconds=5)),
                ),
                gates=(
                    ThresholdGate(
                        name="latency",
                        query='histogram_quantile(0.9, rate(d{v="{{candidate}}"}[{{window}}])) # "ü"',
                        operator=Operator.LESS_OR_EQUAL,
                        limit=0.1 + 0.2,
                        failures=3,
                        of=5,
                        warm_up=timedelta(seconds=90),
                        window=timedelta(minutes=2),
                    ),
                    ErrorRateGate(name="bad", kinds=("error", "slow"), absolute_margin=0.001, ceiling=None),
                ),
                guardrail=GuardrailSettings(alpha=0.01, min_requests=3, on_inconclusive=OnInconclusive.ADVANCE),
                on_breach=OnBreach.STEP_BACK,
                interval=timedelta(seconds=1.5),
            ),
            state=State.PAUSED,
            pause_reason=PauseReason.BREACH,
            wave=1,
            started_at=NOW + timedelta(minutes=1),
            wave_since=NOW + timedelta(minutes=2),
            evidence_since=NOW + timedelta(minutes=3),
            next_look_at=NOW + timedelta(minutes=4, microseconds=999_999),
            version=12,
        ),
    ],
    ids=lambda rollout: rollout.id,
)
def test_a_rollout_comes_back_as_it_was_stored(store, rollout):
    with store.transaction() as work:
        work.rollouts.add(rollout)

    with store.transaction() as work:
        assert work.rollouts.get(rollout.id) == rollout


@pytest.mark.parametrize(
    "answer",
    [
        Value(value=0.1 + 0.2),
        Value(value=-1e-300),
        *(NoData(reason=reason) for reason in NoDataReason),
        *(Broken(reason=reason, detail='502: "Bad Gateway"\n<ü>') for reason in BrokenReason),
        Counts(
            increment=Increment(
                candidate_requests=(2**60, 3), candidate_amount=(1, 0), stable_requests=(5, 0), stable_amount=(0, 7)
            ),
            wave=1,
            wave_since=NOW - timedelta(microseconds=1),
            newest_sample_at=NOW + timedelta(milliseconds=123),
            exposure=Exposure(candidate=3, stable=4),
        ),
        counts((0, 0), (0, 0), newest_sample_at=None),
    ],
    ids=str,
)
def test_a_measurement_comes_back_with_the_answer_it_had(store, answer):
    measurement = Measurement(gate="error-rate", at=NOW, query="", answer=answer)
    with store.transaction() as work:
        work.evidence.add(ROLLOUT.id, [measurement])

    with store.transaction() as work:
        assert work.evidence.since(ROLLOUT.id, NOW - timedelta(seconds=1)) == [measurement]


def test_evidence_is_read_from_after_the_given_time_oldest_first(store):
    seconds = [
        Measurement(gate="latency", at=NOW + timedelta(seconds=n), query="", answer=Value(value=n)) for n in range(4)
    ]
    same_look = replace(seconds[2], gate="error-rate")
    with store.transaction() as work:
        work.rollouts.add(replace(ROLLOUT, id="another"))
        work.evidence.add(ROLLOUT.id, [seconds[3], seconds[0]])
        work.evidence.add(ROLLOUT.id, [seconds[2], same_look, seconds[1]])
        work.evidence.add("another", seconds)
        work.evidence.add("another", [])

    with store.transaction() as work:
        found = work.evidence.since(ROLLOUT.id, seconds[1].at)

    assert found == [seconds[2], same_look, seconds[3]]


def test_the_log_of_measurements_does_not_repeat_their_queries(store):
    measurement = Measurement(gate="latency", at=NOW, query='up{job="shop"}', answer=Value(value=1.0))
    with store.transaction() as work:
        work.evidence.add(ROLLOUT.id, [measurement])

    with store.transaction() as work:
        assert work.evidence.since(ROLLOUT.id, NOW - timedelta(seconds=1)) == [replace(measurement, query="")]


CURSOR = Cursor(read_at=NOW, last={2**64 - 1: (1768392000.123, 5.0), 0: (1768392001.0, 1e15 + 0.5)})


def test_a_cursor_is_replaced_by_the_one_after_it(store):
    after = Cursor(read_at=NOW + timedelta(seconds=15), last={})
    with store.transaction() as work:
        before = work.evidence.cursors([ROLLOUT.id, "another"])
        work.evidence.save_cursor(ROLLOUT.id, CURSOR, before=None)
    with store.transaction() as work:
        between = work.evidence.cursors([ROLLOUT.id, "another"])
        work.evidence.save_cursor(ROLLOUT.id, after, before=CURSOR)

    with store.transaction() as work:
        assert (before, between) == ({}, {ROLLOUT.id: CURSOR})
        assert work.evidence.cursors([ROLLOUT.id]) == {ROLLOUT.id: after}


@pytest.mark.parametrize("before", [None, replace(CURSOR, read_at=NOW - timedelta(seconds=15))], ids=["none", "older"])
def test_a_cursor_that_somebody_else_moved_on_is_not_replaced(store, before):
    with store.transaction() as work:
        work.evidence.save_cursor(ROLLOUT.id, CURSOR, before=None)
    with store.transaction() as work, pytest.raises(StaleVersion):
        work.evidence.save_cursor(ROLLOUT.id, replace(CURSOR, read_at=NOW + timedelta(seconds=15)), before=before)

    with store.transaction() as work:
        assert work.evidence.cursors([ROLLOUT.id]) == {ROLLOUT.id: CURSOR}


def test_a_cursor_over_a_thousand_series_takes_some_ten_kilobytes():
    counted = {hash_: (1768392000.0 + hash_ % 4, float(hash_ % 3000)) for hash_ in map(series_key_of, range(1000))}

    assert len(cursor_to_row(ROLLOUT.id, Cursor(read_at=NOW, last=counted))["last"]) < 13_000


def series_key_of(number):
    return series_key({"instance": str(number)})


def test_a_decision_comes_back_with_its_verdicts_and_an_id(store):
    record = replace(
        DECISION,
        event=Event.ROLL_BACK,
        reason=DecisionReason.BREACH,
        state=State.ROLLED_BACK,
        comment="drill — ü",
        wave=None,
        wave_before=1,
        wave_since=NOW - timedelta(minutes=5),
        evidence_since=NOW - timedelta(hours=1),
        pause_reason_before=PauseReason.OPERATOR,
        verdicts=(
            {
                "gate": "error-rate",
                "kind": "breach",
                "value": 1e300,
                "limit": 20.0,
                "figures": {"stable_bad": 0},
                "query": "q",
            },
            {"gate": "latency", "kind": "cannot_measure", "value": None, "limit": 0.5, "figures": {}, "query": "r"},
        ),
    )
    with store.transaction() as work:
        stored = work.decisions.add(record)

    assert stored == replace(record, id=stored.id)
    assert stored.id > 0
    with store.transaction() as work:
        assert work.decisions.list(ROLLOUT.id, limit=10) == [stored]


def test_decisions_are_paged_from_the_newest_with_or_without_the_holds(store):
    events = [Event.START, Event.TICK, Event.TICK, Event.PAUSE, Event.TICK, Event.RESUME]
    with store.transaction() as work:
        work.rollouts.add(replace(ROLLOUT, id="another"))
        work.decisions.add(replace(DECISION, rollout_id="another", event=Event.START))
        start, first, second, pause, third, resume = (
            work.decisions.add(replace(DECISION, event=event)) for event in events
        )

        assert work.decisions.list(ROLLOUT.id, limit=2) == [resume, third]
        assert work.decisions.list(ROLLOUT.id, limit=3, before=third.id) == [pause, second, first]
        assert work.decisions.list(ROLLOUT.id, limit=2, moves_only=True) == [resume, pause]
        assert work.decisions.list(ROLLOUT.id, limit=2, before=pause.id, moves_only=True) == [start]


def test_the_latest_ruleset_is_the_highest_revision_of_its_environment(store):
    def ruleset(environment, revision):
        return PublishedRuleset(
            environment=environment,
            revision=revision,
            body=b'{"revision":%d,"u":"\xc3\xbc"}' % revision,
            etag=f"{revision:032x}",
            published_at=NOW,
        )

    with store.transaction() as work:
        nothing = work.rulesets.latest("production")
        for revision in (9, 10, 2):
            work.rulesets.add(ruleset("production", revision))
        work.rulesets.add(ruleset("staging", 11))

    assert nothing is None
    with store.transaction() as work:
        assert work.rulesets.latest("production") == ruleset("production", 10)


def test_flags_are_listed_by_key_within_their_environment(store):
    with store.transaction() as work:
        for key, environment in (("zebra", "production"), ("ant", "production"), ("bee", "staging")):
            work.flags.add(replace(FLAG, key=key, environment=environment))

        assert [flag.key for flag in work.flags.list("production")] == ["ai-summaries", "ant", "zebra"]
        assert [flag.key for flag in work.flags.list("staging")] == ["bee"]
        assert work.flags.list("nowhere") == []


def test_rollouts_are_listed_newest_first_even_when_two_are_of_the_same_moment(store):
    with store.transaction() as work:
        work.flags.add(replace(FLAG, key="other"))
        work.rollouts.add(replace(ROLLOUT, id="ai-summaries-10", state=State.RUNNING))
        work.rollouts.add(replace(ROLLOUT, id="ai-summaries:9", state=State.CANCELLED))
        work.rollouts.add(replace(ROLLOUT, id="other-1", flag_key="other", created_at=NOW + timedelta(seconds=1)))

        def ids(**wanted):
            return [rollout.id for rollout in work.rollouts.list("production", **wanted)]

        assert ids() == ["other-1", "ai-summaries-10", "ai-summaries:9", "ai-summaries:1"]
        assert ids(flag_key="ai-summaries") == ["ai-summaries-10", "ai-summaries:9", "ai-summaries:1"]
        assert ids(states=frozenset({State.RUNNING, State.CANCELLED})) == ["ai-summaries-10", "ai-summaries:9"]
        assert ids(states=frozenset()) == []
        assert work.rollouts.list("staging") == []


def test_a_flag_is_served_by_its_newest_rollout_that_was_ever_started(store):
    later = NOW + timedelta(days=1)
    with store.transaction() as work:
        work.flags.add(replace(FLAG, key="never-started"))
        work.flags.add(replace(FLAG, environment="staging"))
        first = replace(ROLLOUT, id="ai-summaries:2", state=State.COMPLETED, wave=3, started_at=later)
        newest = replace(first, id="ai-summaries-10", state=State.ROLLED_BACK)
        draft = replace(ROLLOUT, id="ai-summaries-11", created_at=later)
        for rollout in (newest, first, draft, replace(ROLLOUT, id="never-started-1", flag_key="never-started")):
            work.rollouts.add(rollout)
        work.rollouts.add(replace(first, id="staging-1", environment="staging"))

        assert work.rollouts.serving("production") == {"ai-summaries": newest}


def test_what_does_not_exist_is_not_found(store):
    with store.transaction() as work:
        with pytest.raises(NotFound, match="no flag 'ghost'"):
            work.flags.get("production", "ghost")
        with pytest.raises(NotFound, match="no flag 'ai-summaries'"):
            work.flags.get("staging", "ai-summaries")
        with pytest.raises(NotFound, match="no rollout 'ghost-1'"):
            work.rollouts.get("ghost-1")


def test_a_time_of_another_zone_comes_back_as_the_same_moment_in_utc(store):
    in_delhi = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    with store.transaction() as work:
        work.flags.add(replace(FLAG, key="abroad", created_at=in_delhi))

    with store.transaction() as work:
        found = work.flags.get("production", "abroad").created_at

    assert found == NOW
    assert found.tzinfo is UTC


def test_a_time_without_a_zone_is_refused(store):
    with pytest.raises(StatementError, match="has no time zone"), store.transaction() as work:
        work.flags.add(replace(FLAG, key="naive", created_at=NOW.replace(tzinfo=None)))


def test_times_order_as_time_does_down_to_the_microsecond(engine):
    times = [NOW, NOW + timedelta(microseconds=1), NOW + timedelta(seconds=1), NOW.replace(year=9999)]
    column = tables.ruleset.c.published_at
    with engine.begin() as connection:
        for revision, time in enumerate(reversed(times)):
            row = {"environment": "e", "revision": revision, "body": b"", "etag": "", "published_at": time}
            connection.execute(insert(tables.ruleset).values(row))

        assert connection.scalars(select(column).order_by(column)).all() == times
        assert connection.scalars(select(column).where(column > NOW).order_by(column)).all() == times[1:]


def test_the_newest_rollout_and_decisions_of_many_flags_are_those_of_each(store):
    first = replace(ROLLOUT, id="ai-summaries:9", created_at=NOW)
    second = replace(ROLLOUT, id="ai-summaries:10", created_at=NOW)
    move = replace(DECISION, rollout_id=second.id, event=Event.START)
    with store.transaction() as work:
        for each in (first, second):
            work.rollouts.add(each)
        moved = work.decisions.add(move)
        held = work.decisions.add(replace(DECISION, rollout_id=second.id))

        newest = work.rollouts.newest(ROLLOUT.environment)
        latest = work.decisions.newest([first.id, second.id])
        moves = work.decisions.newest([first.id, second.id], moves_only=True)

    assert newest == {ROLLOUT.flag_key: second}
    assert latest == {second.id: held}
    assert moves == {second.id: moved}
