"""Gates in the closed loop, over a real database: people, webhooks, silence, hold-outs and the watch at 100 %."""

from collections.abc import Iterator

import pytest

from support import control_plane
from support.database import database
from support.people import person
from support.world import World
from wavegate_controller.documents import PlanDocument, parse
from wavegate_controller.domain.decision import DecisionReason
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.measurement import (
    Broken,
    BrokenReason,
    Judgement,
    NoData,
    NoDataReason,
    Value,
)
from wavegate_controller.domain.rollout import PauseReason, State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.domain.verdict import VerdictKind
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.service.rollouts import act
from wavegate_controller.store import SqlStore

LATENCY = {"type": "threshold", "name": "latency", "query": "p95", "operator": "<", "limit": 0.8}
MANUAL = {"type": "manual", "question": "Are the answers right?"}
ALERT = {"type": "alert", "name": "slow", "alert": "TooSlow"}
EVERYBODY = [{"percent": 100, "bake": "1m"}]
URL = "https://checks.example.com/evals"
WEBHOOK = {"type": "webhook", "name": "evals", "url": URL, "interval": "1s"}
ID = "ai-summaries:1"


class HandWebhooks:
    """Webhooks whose answer the test sets; `asked` shows what was asked."""

    def __init__(self) -> None:
        self.answer: Judgement | Broken | None = None
        self.asked: list[dict] = []

    def refusal(self, url: str) -> str | None:
        return None if url == URL else "is beneath none of the webhook_urls in the controller's settings"

    def ask(self, key, url, question, *, timeout, now):
        self.asked.append(dict(question))
        return self.answer


@pytest.fixture
def webhooks() -> HandWebhooks:
    return HandWebhooks()


@pytest.fixture
def world(any_database_url: str, webhooks) -> Iterator[World]:
    with database(any_database_url) as engine:
        world = World.over(SqlStore(engine), webhooks=webhooks)
        world.flag()
        yield world


def look(world: World, *, times: int = 1):
    decision = None
    for _ in range(times):
        world.clock.advance(seconds=15)
        decision = reconcile(world.services, ID)
    return decision


class TestPeople:
    def judge(self, world: World, **body):
        api = control_plane.client(world.services)
        word = {"gate": "judgement", "verdict": "pass", "comment": "twenty answers read", "actor": "ada"} | body
        return api.post(f"/api/v1/rollouts/{ID}/judgements", json=word)

    def test_a_wave_waits_for_a_person_and_goes_on_when_they_say_pass(self, world: World):
        world.started(gates=[MANUAL])
        assert look(world, times=8).reason is DecisionReason.NOT_ENOUGH_DATA

        assert self.judge(world).status_code == 200
        decision = look(world)

        assert decision.event is Event.PROMOTE
        assert "ada says pass: twenty answers read" in decision.sentence
        assert look(world, times=8).reason is DecisionReason.NOT_ENOUGH_DATA, "the next wave is judged anew"

    def test_a_person_s_breach_rolls_back_at_the_next_look(self, world: World):
        world.started(gates=[MANUAL])
        look(world)

        self.judge(world, verdict="breach", comment="it insults people")
        look(world)

        assert world.rollout().state is State.ROLLED_BACK
        assert world.served() == 0

    def test_a_word_about_a_wave_that_is_over_is_refused(self, world: World):
        world.started(gates=[MANUAL])

        refused = self.judge(world, wave=2)

        assert refused.status_code == 409
        assert "wave 1 now, not in wave 2" in refused.json["detail"]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"gate": "vibes"}, "gate"),
            ({"verdict": "not_enough_data"}, "verdict"),
            ({"comment": " "}, "comment"),
            ({"actor": ""}, "actor"),
            ({"wave": 0}, "wave"),
            ({"sure": True}, "sure"),
        ],
    )
    def test_a_bad_word_is_refused_by_field(self, world: World, body: dict, field: str):
        world.started(gates=[MANUAL])

        refused = self.judge(world, **body)

        assert refused.status_code == 422
        assert refused.json["errors"][0]["field"] == field

    def test_a_rollout_that_serves_nobody_has_no_wave_to_judge(self, world: World):
        world.draft(gates=[MANUAL])

        assert self.judge(world).status_code == 409


class TestWebhooks:
    def test_a_pass_lets_the_wave_go_on_and_the_question_names_it(self, world: World, webhooks: HandWebhooks):
        world.started(gates=[WEBHOOK])
        assert look(world, times=8).reason is DecisionReason.NOT_ENOUGH_DATA

        webhooks.answer = Judgement(says=VerdictKind.PASS, by="checks", detail="38 of 40")
        decision = look(world)

        assert decision.event is Event.PROMOTE
        assert webhooks.asked[-1]["wave"] | {"since": None} == {"number": 1, "of": 4, "percent": 10.0, "since": None}
        assert decision.verdicts[0].query == URL

    def test_a_breach_rolls_back_and_an_outage_only_holds(self, world: World, webhooks: HandWebhooks):
        world.started(gates=[WEBHOOK])
        webhooks.answer = Broken(reason=BrokenReason.UNREACHABLE, detail="connection refused")
        assert look(world, times=20).reason is DecisionReason.CANNOT_MEASURE

        webhooks.answer = Judgement(says=VerdictKind.BREACH, by="checks", detail="12 of 40")
        look(world)

        assert world.rollout().state is State.ROLLED_BACK

    def test_nobody_is_asked_while_paused(self, world: World, webhooks: HandWebhooks):
        world.started(gates=[WEBHOOK])
        act(world.services, ID, Event.PAUSE, by=person("ada"))

        look(world, times=4)

        assert webhooks.asked == []

    def test_an_address_that_is_not_allowed_is_refused_at_creation(self, world: World):
        with pytest.raises(Invalid) as refused:
            world.draft(gates=[WEBHOOK | {"url": "http://169.254.169.254/"}])

        assert refused.value.field == "plan.gates[0].url"


class TestAlerts:
    def test_an_alert_without_a_rule_is_refused_at_creation_and_never_passes_later(self, world: World):
        nobody = Broken(reason=BrokenReason.NO_SUCH_ALERT, detail="no rule TooSlow")
        world.metrics.value = Value(value=0)
        world.started(gates=[ALERT])
        world.metrics.rule_problem = nobody

        assert look(world, times=20).reason is DecisionReason.CANNOT_MEASURE
        world.flag("other")
        with pytest.raises(Invalid) as refused:
            world.draft("other", gates=[ALERT])
        assert refused.value.field == "plan.gates[0].alert"

    def test_a_firing_alert_rolls_back(self, world: World):
        world.metrics.value = Value(value=0)
        world.started(gates=[ALERT])
        look(world, times=2)
        world.metrics.value = Value(value=2)

        look(world)

        assert world.rollout().state is State.ROLLED_BACK


class TestSilence:
    EMPTY = NoData(reason=NoDataReason.EMPTY_RESULT)

    def test_long_silence_pauses_where_the_plan_says_so_and_a_human_gets_the_whole_time_again(self, world: World):
        world.metrics.value = self.EMPTY
        world.started(gates=[LATENCY | {"on_no_data": {"act": "pause", "after": "1m"}}])

        assert look(world, times=4).event is Event.TICK
        decision = look(world)

        assert (decision.event, decision.reason) == (Event.PAUSE, DecisionReason.NOT_ENOUGH_DATA)
        assert world.rollout().pause_reason is PauseReason.NOT_ENOUGH_DATA
        act(world.services, ID, Event.RESUME, by=person("ada"))
        assert look(world, times=4).event is Event.TICK
        assert look(world).event is Event.PAUSE

    def test_an_outage_of_hours_rolls_nothing_back_that_nobody_said_to(self, world: World):
        world.metrics.away = True
        world.started(gates=[LATENCY], on_no_data={"act": "roll_back", "after": "1m"})

        assert look(world, times=60).reason is DecisionReason.CANNOT_MEASURE
        assert world.rollout().state is State.RUNNING

    def test_an_outage_rolls_back_where_the_plan_says_so(self, world: World):
        world.metrics.away = True
        world.started(gates=[LATENCY], on_cannot_measure={"act": "roll_back", "after": "1m"})

        look(world, times=5)

        assert world.rollout().state is State.ROLLED_BACK


class TestAtHundredPercent:
    def held_out(self, world: World) -> int:
        holdout = world.ruleset.flags["ai-summaries"].rollout.holdout
        return 0 if holdout is None else holdout.weight

    def test_a_hold_out_is_published_from_the_first_wave_on_and_ends_with_completion(self, world: World):
        world.started(gates=[LATENCY], hold_out=5)
        assert self.held_out(world) == 5_000

        look(world, times=60)

        assert world.rollout().state is State.COMPLETED
        assert self.held_out(world) == 0

    def test_a_hold_out_may_stay(self, world: World):
        world.started(gates=[LATENCY], waves=EVERYBODY, hold_out=5, keep_hold_out=True)

        look(world, times=10)

        assert world.rollout().state is State.COMPLETED
        assert self.held_out(world) == 5_000

    def test_a_rollback_leaves_no_hold_out(self, world: World):
        world.started(gates=[LATENCY], hold_out=5)

        act(world.services, ID, Event.ROLL_BACK, by=person("ada"))

        assert self.held_out(world) == 0

    def test_a_breach_in_the_watch_at_100_percent_rolls_back(self, world: World):
        world.started(gates=[LATENCY], waves=EVERYBODY)
        look(world, times=3)
        world.metrics.value = Value(value=2)

        look(world, times=2)

        assert world.rollout().state is State.ROLLED_BACK
        assert world.served() == 0


def test_the_presets_are_listed_with_gates_that_a_plan_accepts(world: World):
    listed = control_plane.client(world.services).get("/api/v1/presets").json["items"]

    assert {each["preset"] for each in listed} >= {"error-rate", "latency", "cost", "time-to-first-token"}
    gates = [each["example"] | {"name": f"gate-{n}"} for n, each in enumerate(listed)]
    assert len(parse(PlanDocument, {"gates": gates}).to_domain().gates) == len(listed)
