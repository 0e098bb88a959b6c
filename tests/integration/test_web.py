"""The pages, over a real database with rollouts that the real reconciler moved. Only time and metrics are scripted."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient

from support.database import database
from support.people import identity, person
from support.world import World
from wavegate_controller import cli
from wavegate_controller.domain.measurement import NoData, NoDataReason
from wavegate_controller.domain.rollout import State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.service import queries
from wavegate_controller.service.flags import set_enabled
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.service.rollouts import act
from wavegate_controller.store import SqlStore
from wavegate_controller.web import make_web
from wavegate_controller.web.sentences import standing

GATES = [
    {"type": "error_rate"},
    {
        "type": "threshold",
        "name": "p95-latency",
        "query": 'p95{flag="{{flag}}",variant="{{candidate}}"}',
        "operator": "<",
        "limit": 0.8,
    },
]


@dataclass
class Stage:
    """A world in which traffic flows while rollouts are watched, every two seconds."""

    world: World

    def flag(self, key: str, **fields: object) -> None:
        self.world.flag(key, **fields)

    def rollout(self, key: str, *, start: bool = True, **plan: object) -> str:
        plan = {"gates": GATES, "interval": "2s"} | plan
        return (self.world.started if start else self.world.draft)(key, **plan).id

    def act(self, rollout: str, event: Event, comment: str = "") -> None:
        act(self.world.services, rollout, event, by=person("ada"), comment=comment)

    def stop(self, key: str) -> None:
        set_enabled(self.world.services, key, enabled=False, by=person())

    def watch(self, *rollouts: str, looks: int, bad: int = 1) -> None:
        """Of 50 requests to the candidate in each look, so many go wrong."""
        for _ in range(looks):
            self.world.clock.advance(seconds=2)
            self.world.metrics.count("on", 50, bad)
            self.world.metrics.count("off", 150, 3)
            for rollout in rollouts:
                reconcile(self.world.services, rollout)


@pytest.fixture
def stage(any_database_url: str) -> Iterator[Stage]:
    with database(any_database_url) as engine:
        yield Stage(World.over(SqlStore(engine)))


@pytest.fixture
def browser(stage: Stage) -> FlaskClient:
    app = Flask(__name__, static_folder=None)
    app.register_blueprint(make_web(stage.world.services, identity(stage.world.services)))
    return app.test_client()


class Markup(HTMLParser):
    """What a browser would find: text, elements with an id, and what a strict policy would refuse."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.in_command = False
        self.ids: list[str] = []
        self.refused: list[str] = []
        self.words: list[str] = []
        self.links: list[str] = []
        self.commands: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if "id" in given:
            self.ids.append(given["id"])
        if "style" in given or tag == "style" or (tag == "script" and "src" not in given):
            self.refused.append(tag)
        if tag == "code" and given.get("class") == "command":
            self.commands.append("")
        self.in_command = tag == "code"
        if tag in {"dt", "dd", "p", "li", "div", "h1", "h2", "text"}:
            self.words.append(" ")
        self.refused.extend(name for name in given if name.startswith("on"))
        self.links.extend(given[name] for name in ("href", "src") if name in given)

    def handle_data(self, data):
        self.words.append(data)
        if self.in_command and self.commands:
            self.commands[-1] += data

    def handle_endtag(self, tag):
        self.in_command = False

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words).replace("\xa0", " "))


def read(browser: FlaskClient, path: str, *, status: int = 200) -> Markup:
    response = browser.get(path)
    assert response.status_code == status, response.text
    return Markup(response.text)


def test_a_controller_without_flags_teaches_the_three_commands(browser):
    page = read(browser, "/")

    for command in ("flag create ai-answers", "rollout create --flag ai-answers", "rollout start ai-answers"):
        assert f"wavegate {command}" in page.text


def test_the_first_page_puts_what_needs_a_person_before_what_runs_and_that_before_the_rest(stage, browser):
    for key in ("calm", "climbing", "harmful", "halted", "stopped", "drafted"):
        stage.flag(key)
    climbing, harmful, halted, stopped = (stage.rollout(key) for key in ("climbing", "harmful", "halted", "stopped"))
    stage.rollout("drafted", start=False)
    stage.act(harmful, Event.ROLL_BACK)
    stage.act(halted, Event.PAUSE, "lunch")
    stage.stop("stopped")
    stage.watch(climbing, stopped, looks=3)

    page = read(browser, "/")

    flags = [each.removeprefix("flag-") for each in page.ids if each.startswith("flag-")]
    assert flags == ["stopped", "harmful", "halted", "climbing", "calm", "drafted"]
    for state in ("emergency stop", "rolled back", "paused", "running", "no rollout", "draft"):
        assert state in page.text


def test_a_rollout_that_cannot_be_measured_asks_for_a_person_and_says_what_is_broken(stage, browser):
    stage.flag("blind")
    rollout = stage.rollout("blind")
    stage.world.metrics.away = True
    stage.watch(rollout, looks=2)

    overview, page = read(browser, "/"), read(browser, "/flags/blind")

    assert "Needs a person 1" in overview.text
    for shown in (overview, page):
        assert "cannot measure" in shown.text
        assert "unreachable: connection refused" in shown.text


def test_a_flag_shows_percentage_target_wave_cause_and_rules_of_its_rollout(stage, browser):
    stage.flag("ai-answers", description="Answers by the new model")
    rollout = stage.rollout("ai-answers")
    stage.watch(rollout, looks=35)

    text = read(browser, "/flags/ai-answers").text

    for said in (
        "Answers by the new model",
        "25 % of users get on, the others off",
        "target 100 % of users",
        "25 % of requests",
        "Moved by Wavegate, automatically: promoted 10 s ago, error-rate: candidate 2.00% bad",
        "Since 10 s ago",
        "Bakes until in 50 s",
        "Holds baking error-rate: candidate 2.00% bad",
        "Rolls back when “on” fails more often than “off”: evidence 20 : 1, or above 25 % at any time.",
        "Passes while p95-latency is below 0.8. Rolls back when 2 of the last 3 looks are 0.8 or above.",
        "must stay < 0.8",
        "breach at 20 : 1",
        "evidence for at most 15 % worse",
        "times stable's rate",
        "may pass in",
        "wavegate rollout roll-back ai-answers",
    ):
        assert said in text


def test_a_rolled_back_flag_shows_nobody_left_and_the_evidence_that_condemned_it(stage, browser):
    stage.flag("ai-answers")
    rollout = stage.rollout("ai-answers")
    stage.watch(rollout, looks=5)
    stage.watch(rollout, looks=8, bad=30)
    stage.world.clock.advance(days=3)

    page = read(browser, "/flags/ai-answers")

    assert stage.world.rollout(rollout).state is State.ROLLED_BACK
    assert "0 % of users get on, the others off" in page.text
    assert re.search(r"Rolled back breach error-rate: candidate [\d.]+% bad", page.text)
    assert "rolled back 10 → 0 %" in page.text
    assert re.search(r"on [\d.]+% of [1-9]\d*; off 2.\d% of [1-9]", browser.get("/flags/ai-answers").text)


def test_a_run_of_holds_is_one_line_that_opens_to_verdicts_and_queries(stage, browser):
    stage.flag("ai-answers")
    rollout = stage.rollout("ai-answers")
    stage.watch(rollout, looks=20)
    stage.act(rollout, Event.PAUSE, "lunch")

    page = read(browser, "/flags/ai-answers")

    assert re.search(r"held \d\d looks: baking", page.text)
    assert "pause by ada: lunch" in page.text
    assert 'p95{flag="ai-answers",variant="on"}' in page.text
    assert len([each for each in page.ids if each.startswith("line-")]) < 8


def test_a_history_too_long_to_read_keeps_the_moves_and_says_that_holds_are_left_out(stage, browser):
    stage.flag("ai-answers")
    rollout = stage.rollout("ai-answers", waves=[{"percent": 10, "bake": "1h"}])
    stage.watch(rollout, looks=10)
    stage.act(rollout, Event.PAUSE, "lunch")
    stage.act(rollout, Event.RESUME)
    stage.watch(rollout, looks=201)

    text = read(browser, "/flags/ai-answers").text

    assert "held at least 200 looks: baking" in text
    assert "pause by ada: lunch" in text
    assert "started 10 %" in text
    assert "wavegate rollout history ai-answers" in text


def test_an_emergency_stop_is_loud_and_counts_nobody(stage, browser):
    stage.flag("ai-answers")
    rollout = stage.rollout("ai-answers")
    stage.watch(rollout, looks=35)
    stage.stop("ai-answers")

    text = read(browser, "/flags/ai-answers").text

    assert "Emergency stop This flag was disabled 0 s ago: everybody gets off" in text
    assert "0 % of users get on" in text
    assert "wavegate flag enable ai-answers" in text


def test_time_without_data_is_drawn_with_its_reason(stage, browser):
    stage.flag("ai-answers")
    rollout = stage.rollout("ai-answers")
    stage.watch(rollout, looks=3)
    stage.world.metrics.value = NoData(reason=NoDataReason.EMPTY_RESULT)
    stage.watch(rollout, looks=10)

    assert "no data: empty result" in read(browser, "/flags/ai-answers").text


def test_what_people_write_is_shown_as_text_and_never_as_markup(stage, browser):
    nasty = "<script>alert(1)</script> \"quoted\" & 'more' {{ 7 * 7 }}"
    stage.flag("odd", description=nasty)
    rollout = stage.rollout("odd")
    stage.act(rollout, Event.PAUSE, nasty)
    gates = [{"type": "threshold", "name": "odd", "query": 'up{a="<b>"}', "operator": ">=", "limit": -2.5}]
    stage.flag("odd-gate")
    stage.watch(stage.rollout("odd-gate", gates=gates), looks=2)

    page, overview, gate = (read(browser, path) for path in ("/flags/odd", "/", "/flags/odd-gate"))

    assert nasty in page.text
    assert 'up{a="<b>"}' in gate.text
    assert page.refused == overview.refused == gate.refused == []


@pytest.mark.parametrize(
    "path", ["/", "/flags/ai-answers", "/flags/none", "/assets/js/live.js", "/assets/css/tokens.css"]
)
def test_every_answer_carries_a_policy_that_runs_only_our_own_files(stage, browser, path):
    stage.flag("ai-answers")
    stage.watch(stage.rollout("ai-answers"), looks=2)

    response = browser.get(path, buffered=True)

    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"


def test_a_page_refers_only_to_files_that_are_shipped_and_needs_no_inline_code(stage, browser):
    stage.flag("ai-answers")
    stage.watch(stage.rollout("ai-answers"), looks=2)

    page = read(browser, "/flags/ai-answers")

    assets = [each for each in page.links if each.startswith("/assets/")]
    assert {"icon.svg", "tokens.css", "app.js", "htmx.min.js"} <= {Path(each).name for each in assets}
    assert {browser.get(each, buffered=True).status_code for each in assets} == {200}, (
        "make setup fetches what is missing"
    )
    assert all(each.startswith(("/", "#")) for each in page.links)
    assert page.refused == []
    assert len(page.ids) == len(set(page.ids))


def test_an_unknown_flag_is_answered_kindly(stage, browser):
    page = read(browser, "/flags/ai-answer", status=404)

    assert "There is no flag 'ai-answer'" in page.text
    assert "/" in page.links


def test_a_flag_without_a_rollout_says_what_everybody_gets(stage, browser):
    stage.flag("plain")

    text = read(browser, "/flags/plain").text

    assert "Everybody gets off." in text
    assert "wavegate rollout create --flag plain" in text


@pytest.mark.parametrize("events", [[], ["start"], ["start", "pause"], ["start", "roll_back"], ["cancel"]])
def test_every_command_on_a_page_is_one_that_the_command_line_takes(stage, browser, events):
    stage.flag("ai-answers")
    rollout = stage.rollout("ai-answers", start=False)
    for event in events:
        stage.act(rollout, Event(event))

    commands = [*read(browser, "/").commands, *read(browser, "/flags/ai-answers").commands]

    assert commands.pop() == "export WAVEGATE_URL=http://localhost"
    assert commands
    for command in commands:
        program, *arguments = shlex.split(command)
        answer = CliRunner().invoke(cli.main, [*arguments, "--help"])
        assert (program, answer.exit_code) == ("wavegate", 0), f"{command}: {answer.output}"


def test_a_link_in_a_message_leads_to_a_page_that_asks_and_does_nothing_by_itself(stage, browser):
    stage.flag("ai-answers")
    rollout = stage.rollout("ai-answers")
    page = browser.get("/flags/ai-answers/confirm/roll_back?environment=production")
    answers = [browser.get("/flags/ai-answers/confirm/resume"), browser.get("/flags/ai-answers/confirm/tick")]

    assert stage.world.rollout(rollout).state is State.RUNNING
    assert "Roll back ai-answers?" in " ".join(page.text.split())
    assert 'method="post" action="/flags/ai-answers/acts/roll_back?environment=production"' in page.text
    assert 'name="actor"' in page.text
    assert Markup(page.text).refused == []
    assert [answer.status_code for answer in answers] == [200, 404]
    assert "not possible now" in answers[0].text
    assert browser.post("/flags/ai-answers/confirm/roll_back").status_code == 405


def test_an_act_is_a_form_that_needs_no_script_and_is_answered_by_where_the_flag_stands(stage, browser):
    stage.flag("ai-answers")
    rollout = stage.rollout("ai-answers")

    answer = browser.post("/flags/ai-answers/acts/roll_back", data={"rollout": rollout, "actor": "anna"})

    assert (answer.status_code, answer.headers["Location"]) == (303, "/flags/ai-answers")
    assert stage.world.rollout(rollout).state is State.ROLLED_BACK


@pytest.mark.parametrize(
    ("act", "form", "status", "said"),
    [
        ("promote", {"comment": ""}, 422, "comment is empty"),
        (
            "promote",
            {"comment": "go", "version": "1"},
            409,
            "somebody else, or Wavegate itself, has moved this rollout",
        ),
        ("resume", {}, 409, "resume is not possible now"),
        ("promote", {"comment": "go", "version": "one"}, 422, "version"),
    ],
)
def test_an_act_that_is_refused_says_why_on_the_page_and_changes_nothing(stage, browser, act, form, status, said):
    stage.flag("ai-answers")
    rollout = stage.rollout("ai-answers")
    before = stage.world.rollout(rollout)

    answer = browser.post(f"/flags/ai-answers/acts/{act}", data=form | {"rollout": rollout})

    assert answer.status_code == status
    assert said in answer.text
    assert stage.world.rollout(rollout) == before


def test_where_a_flag_stands_is_the_same_in_a_few_words_and_as_a_whole(stage):
    rolled = {}
    for key in ("runs", "breaks", "drafted", "stopped", "unmeasured", "plain"):
        stage.flag(key)
        if key != "plain":
            rolled[key] = stage.rollout(key, start=key != "drafted")
    stage.stop("stopped")
    stage.watch(rolled["runs"], looks=3)
    stage.watch(rolled["breaks"], looks=12, bad=40)
    stage.world.metrics.away = True
    reconcile(stage.world.services, rolled["unmeasured"])

    outlines = queries.outlines(stage.world.services, by=person())
    views = queries.flag_views(stage.world.services, [each.key for each, _ in outlines], by=person())

    assert {each.key: each.standing for each, _ in outlines} == {
        "breaks": "rolled_back",
        "drafted": "draft",
        "plain": "none",
        "runs": "running",
        "stopped": "stopped",
        "unmeasured": "cannot_measure",
    }
    assert [(standing(view), view.stage) for view in views.values()] == [(o.standing, stage) for o, stage in outlines]
