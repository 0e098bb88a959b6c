"""What a person reads on a terminal."""

from datetime import timedelta
from io import StringIO

import pytest
from rich.console import Console

from support.rollouts import NOW, a_flag
from wavegate_controller import terminal
from wavegate_controller.documents import decision_to_document, flag_to_document, rollout_to_document
from wavegate_controller.domain.decision import Decision, DecisionReason
from wavegate_controller.domain.plan import ErrorRateGate, Operator, Plan, ThresholdGate
from wavegate_controller.domain.record import record
from wavegate_controller.domain.rollout import PauseReason, Rollout
from wavegate_controller.domain.transitions import Event, apply
from wavegate_controller.domain.verdict import Verdict, VerdictKind

PLAN = Plan(gates=(ErrorRateGate(), ThresholdGate(name="latency", query="p95", operator=Operator.LESS, limit=2)))
DRAFT = Rollout(
    id="ai-summaries:1",
    flag_key="ai-summaries",
    environment="production",
    stable="off",
    candidate="on",
    plan=PLAN,
    created_by="ada",
    created_at=NOW,
    updated_at=NOW,
)
OUTAGE = "unreachable: 127.0.0.1:9090: Connection refused"
VERDICTS = (
    Verdict(
        gate="error-rate",
        kind=VerdictKind.PASS,
        reason="within_limit",
        sentence="candidate 0.52% bad (3 of 571), stable 0.50% bad (26 of 5120)",
        query="q",
        value=0.912,
        limit=20,
    ),
    Verdict(
        gate="latency",
        kind=VerdictKind.CANNOT_MEASURE,
        reason="unreachable",
        sentence=OUTAGE,
        query="q",
        limit=2,
    ),
)


def after(*events):
    """A rollout after these events, and the record of the last one."""
    before = rollout = DRAFT
    for event in events:
        before, rollout = rollout, apply(rollout, event, now=NOW, pause_reason=PauseReason.BREACH)
    return rollout, noted(before, rollout, events[-1], DecisionReason.REQUESTED, "asked", actor="ada", comment="bored")


def noted(before, rollout, event, reason, sentence, *, verdicts=(), actor="wavegate", comment=""):
    decision = Decision(event=event, reason=reason, sentence=sentence, verdicts=verdicts)
    return record(decision, before=before, after=rollout, now=NOW, actor=actor, comment=comment, revision=1)


def shown(rollout, *, latest=None, moved=None, flag_enabled=True):
    return rollout_to_document(rollout, latest=latest or moved, moved=moved, flag_enabled=flag_enabled, is_aa=False)


def held(reason=DecisionReason.CANNOT_MEASURE, sentence=f"latency: {OUTAGE}", verdicts=VERDICTS):
    rollout, moved = after(Event.START, Event.PROMOTE)
    hold = noted(rollout, rollout, Event.TICK, reason, sentence, verdicts=verdicts)
    return shown(rollout, latest=hold, moved=moved)


def text(renderable, *, width=100, color=False):
    file = StringIO()
    console = Console(file=file, width=width, force_terminal=color, no_color=not color, _environ={})
    console.print(renderable)
    return file.getvalue()


@pytest.mark.parametrize(
    ("events", "track"),
    [
        ([], "10 ─ 25 ─ 50 ─ 100"),
        ([Event.START], "[10] ─ 25 ─ 50 ─ 100"),
        ([Event.START, Event.PROMOTE], "10 ━ [25] ─ 50 ─ 100"),
        ([Event.START, Event.PROMOTE, Event.PAUSE], "10 ━ [25] ─ 50 ─ 100"),
        ([Event.START, *[Event.PROMOTE] * 4], "10 ━ 25 ━ 50 ━ [100]"),
        ([Event.START, Event.PROMOTE, Event.ROLL_BACK], "[0] ─ 10 ─ 25✗ ─ 50 ─ 100"),
        ([Event.CANCEL], "[0] ─ 10 ─ 25 ─ 50 ─ 100"),
    ],
)
def test_the_track_shows_where_a_rollout_stands(events, track):
    rollout = after(*events)[0] if events else DRAFT

    assert terminal.wave_track(shown(rollout)).plain == track


def test_a_hold_says_why_and_until_when_and_what_may_be_asked():
    panel = " ".join(text(terminal.rollout_panel(held())).replace("│", "").split())

    assert f"holds cannot_measure: latency: {OUTAGE}" in panel
    assert "until all gates pass, at 12:15:00 UTC at the earliest; next look at 12:00:15 UTC" in panel
    assert "possible pause, pin, promote, step-back, roll-back, cancel" in panel
    assert "since 12:00:00 UTC: promote by ada bored" in panel


def test_each_gate_has_its_verdict_its_reason_and_its_value_beside_the_limit():
    panel = text(terminal.rollout_panel(held()))

    assert "✓ error-rate  pass · within_limit · value 0.912, limit 20" in panel
    assert "candidate 0.52% bad (3 of 571), stable 0.50% bad (26 of 5120)" in panel
    assert "? latency  cannot_measure · unreachable · no value, limit 2" in panel


def test_a_gate_that_was_not_looked_at_says_so():
    assert text(terminal.rollout_panel(shown(DRAFT))).count("not looked at yet") == len(PLAN.gates)


def test_a_wave_that_has_baked_waits_for_its_gates_alone():
    panel = text(terminal.rollout_panel(held(), now=NOW + timedelta(hours=2)))

    assert "until    all gates pass; next look" in panel
    assert "(2h ago)" in panel


def test_a_paused_rollout_says_that_a_person_must_act():
    rollout, moved = after(Event.START, Event.PAUSE)

    panel = text(terminal.rollout_panel(shown(rollout, moved=moved)))

    assert "paused (breach)" in panel
    assert "until    a person acts" in panel


def test_a_final_state_says_that_nothing_is_left_to_ask():
    rollout, moved = after(Event.CANCEL)

    panel = text(terminal.rollout_panel(shown(rollout, moved=moved)))

    assert "nothing: this state is final" in panel
    assert "until" not in panel


def test_a_disabled_flag_is_said_before_anything_else():
    rollout, moved = after(Event.START)
    document = shown(rollout, moved=moved, flag_enabled=False)

    assert "The flag is disabled" in text(terminal.rollout_panel(document)).splitlines()[1]
    assert "flag disabled" in text(terminal.rollouts_table([document]))


def test_the_newest_decisions_stand_beneath():
    _, started = after(Event.START)

    panel = text(terminal.rollout_panel(held(), decisions=[decision_to_document(started)]))

    assert "start  10 %   ada  requested: asked" in panel


@pytest.mark.parametrize("width", [80, 120])
def test_everything_fits_its_width_and_the_identity_is_never_cut(width):
    rollout, moved = after(Event.START, Event.STEP_BACK)
    documents = [shown(DRAFT), held(), shown(rollout, moved=moved)]
    renderables = [terminal.rollouts_table(documents), *map(terminal.rollout_panel, documents)]

    pages = [text(renderable, width=width) for renderable in renderables]

    assert all(len(line) <= width for page in pages for line in page.splitlines())
    assert all("ai-summaries:1" in page for page in pages)
    assert all(track in pages[0] for track in ("10 ━ [25] ─ 50 ─ 100", "[0] ─ 10✗ ─ 25 ─ 50 ─ 100"))


def test_colour_adds_nothing_that_is_not_said_in_words():
    coloured = Console(file=StringIO(), width=100, force_terminal=True, color_system="truecolor", record=True)

    coloured.print(terminal.rollout_panel(held()))

    assert coloured.export_text(styles=False) == text(terminal.rollout_panel(held()))


def test_what_servers_say_is_neither_markup_nor_a_command_to_the_terminal():
    page = text(terminal.rollout_panel(held(sentence="[red]rate(x[5m])\x1b]0;owned\x07")), color=True)

    assert "[red]rate(x[5m])" in page
    assert "\x1b]" not in page
    assert "\x07" not in page


def test_flags_are_listed_with_their_newest_rollout():
    flag = a_flag(enabled=False)

    table = text(terminal.flags_table([flag_to_document(flag) | {"rollout": held()}]))

    assert "ai-summaries  NO       off      running  25 %  10 ━ [25] ─ 50 ─ 100" in table


@pytest.mark.parametrize(
    ("empty", "hint"),
    [
        (terminal.flags_table([]), "wavegate flag create"),
        (terminal.rollouts_table([]), "wavegate rollout create"),
        (terminal.decisions_table([]), "nothing has happened yet"),
    ],
)
def test_an_empty_list_teaches(empty, hint):
    assert hint in text(empty)
