"""Every gate's rule as a sentence, and every number beside its limit, on the page and on the terminal."""

from datetime import timedelta
from io import StringIO

import pytest
from rich.console import Console

from support.rollouts import NOW, a_flag, a_plan, a_rollout, a_threshold
from wavegate_controller import terminal
from wavegate_controller.documents import rollout_to_document
from wavegate_controller.documents.gate_rules import gate_rule
from wavegate_controller.domain.analysis import judge
from wavegate_controller.domain.decision import decide
from wavegate_controller.domain.gates import (
    AlertCounts,
    AlertGate,
    ErrorRateGate,
    FeedbackGate,
    Gate,
    ManualGate,
    OnSilence,
    SilencePolicy,
    WebhookGate,
)
from wavegate_controller.domain.measurement import (
    Broken,
    BrokenReason,
    Feedback,
    Judgement,
    Measurement,
    Reading,
    Value,
)
from wavegate_controller.domain.record import record
from wavegate_controller.domain.verdict import VerdictKind
from wavegate_controller.service.queries import FlagStory, FlagView, RolloutView
from wavegate_controller.web.gates import gate_cards
from wavegate_controller.web.sentences import commands

LOOK = timedelta(seconds=15)
WEBHOOK = WebhookGate(name="evals", url="https://checks.example.com/evals", keep_asking=False)
PEOPLE = Feedback(requests=900, thumbs_up=30, thumbs_down=9, newest_sample_at=NOW)


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        (
            a_threshold(warn=0.6),
            ["is below 0.8", "2 of the last 3 looks are 0.8 or above", "Held when they are 0.6 or above"],
        ),
        (ErrorRateGate(name="latency", kinds=("slow",)), ["“on” is too slow more often than “off”", "20 : 1", "25 %"]),
        (ErrorRateGate(kinds=("error", "slow")), ["goes wrong (error, slow)"]),
        (AlertGate(name="a", alert="TooSlow"), ["Rolls back when the alert TooSlow fires", "Held while it is pending"]),
        (AlertGate(name="a", alert="TooSlow", counts=AlertCounts.FIRED_IN_WAVE), ["has fired since the wave began"]),
        (FeedbackGate(), ["more than 5 % of the requests", "from 20 answers on", "at least 50 % of them"]),
        (WEBHOOK, ["says breach", "at most every 1m", "not asked about again"]),
        (ManualGate(question="Right?"), ["a person says so", "a person says breach", "Right?"]),
    ],
)
def test_the_rule_of_a_gate_is_a_sentence_with_its_limits(gate: Gate, says: list[str]):
    rule = gate_rule(gate, a_plan(), candidate="on", stable="off")

    for each in says:
        assert each in rule


def test_the_rule_names_what_silence_does_and_only_if_it_does_something():
    gate = a_threshold(on_no_data=SilencePolicy(act=OnSilence.PAUSE, after=timedelta(minutes=30)))
    plan = a_plan(on_cannot_measure=SilencePolicy(act=OnSilence.ROLL_BACK, after=timedelta(hours=2)))

    said = gate_rule(gate, plan, candidate="on", stable="off")

    assert "Pauses after 30m without data." in said
    assert "Rolls back after 2h in which it cannot be measured." in said
    assert "after" not in gate_rule(a_threshold(), a_plan(), candidate="on", stable="off")


def story(gate: Gate, *answers: Reading, plan=None) -> tuple[FlagStory, RolloutView]:
    rollout = a_rollout(plan=plan or a_plan(gates=(gate,)))
    measured = [
        Measurement(gate=gate.name, at=NOW + LOOK * n, query="q", answer=each)
        for n, each in enumerate(answers, start=1)
    ]
    now = NOW + LOOK * len(answers)
    decision = decide(rollout, [judge(gate, measured, rollout=rollout, now=now)], now=now)
    latest = record(decision, before=rollout, after=rollout, now=now, actor="wavegate", comment="", revision=1)
    view = RolloutView(rollout=rollout, latest=latest, moved=None, flag_enabled=True)
    flag = FlagView(flag=a_flag(), rollout=view)
    return FlagStory(view=flag, now=now, since=NOW, until=now, decisions=[latest], measurements=measured), view


@pytest.mark.parametrize(
    ("gate", "answers", "figures"),
    [
        (
            a_threshold(warn=0.6),
            [Value(value=0.7)] * 2,
            {"now": ("0.7", "must stay < 0.8"), "looks past the warning at 0.6": ("2", "held at 2")},
        ),
        (
            AlertGate(name="a", alert="TooSlow"),
            [Value(value=2)],
            {"looks at which it fires": ("1 of 1", "breach at 1 of 1")},
        ),
        (
            FeedbackGate(),
            [PEOPLE],
            {"requests with a thumbs down": ("1 %", "9 of 900"), "thumbs up among the answers": ("76.9 %", "30 of 39")},
        ),
        (
            WEBHOOK,
            [Judgement(says=VerdictKind.PASS, by="checks", value=0.95, limit=0.9)],
            {"it measured": ("0.95", "beside 0.9")},
        ),
        (
            a_threshold(),
            [Broken(reason=BrokenReason.UNREACHABLE, detail="refused")] * 5,
            {"silent for": ("1 min 0 s", "the plan only holds")},
        ),
    ],
)
def test_the_page_shows_each_number_beside_its_limit(gate: Gate, answers: list[Reading], figures: dict):
    told, view = story(gate, *answers)

    (card,) = gate_cards(told, view.rollout)

    shown = {figure.label: figure for figure in card.figures}
    for label, (value, limit) in figures.items():
        assert shown[label].value == value
        assert limit in shown[label].limit


def test_a_warning_is_louder_on_the_page_than_a_lack_of_data():
    doubt, view = story(a_threshold(warn=0.6), *[Value(value=0.7)] * 3)
    young, young_view = story(a_threshold(warn=0.6), Value(value=0.1))

    assert [gate_cards(*each)[0].tone for each in ((doubt, view.rollout), (young, young_view.rollout))] == [
        "warn",
        "calm",
    ]


def test_the_page_says_how_to_judge_a_wave():
    told, _ = story(ManualGate())

    assert any(
        each.text.startswith("wavegate rollout judge ai-summaries pass --gate judgement")
        for each in commands(told.view)
    )


def on_the_terminal(view: RolloutView) -> str:
    console = Console(file=StringIO(), width=160, highlight=False)
    document = rollout_to_document(view.rollout, latest=view.latest, moved=view.moved, flag_enabled=True, is_aa=False)
    console.print(terminal.rollout_panel(document))
    return console.file.getvalue()


def test_the_terminal_shows_warning_interval_silence_and_hold_out():
    _, doubt = story(a_threshold(warn=0.6), *[Value(value=0.7)] * 3)
    _, people = story(FeedbackGate(), PEOPLE)
    policy = SilencePolicy(act=OnSilence.PAUSE, after=timedelta(minutes=30))
    silent_gate = a_threshold(on_cannot_measure=policy)
    _, silent = story(silent_gate, *[Broken(reason=BrokenReason.TIMEOUT, detail="late")] * 9)
    _, held_out = story(a_threshold(), Value(value=0.1), plan=a_plan(gates=(a_threshold(),), hold_out=5_000))

    assert "! latency" in on_the_terminal(doubt)
    assert "warn_limit_exceeded · value 0.7, limit 0.8, warning 0.6" in on_the_terminal(doubt)
    assert "value 0.01, limit 0.05, interval 0.00" in on_the_terminal(people)
    assert "silent for 2m of 30m" in on_the_terminal(silent)
    assert "5 % of all are held out" in on_the_terminal(held_out)
