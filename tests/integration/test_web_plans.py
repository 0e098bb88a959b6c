"""The editor of plans as plain HTTP: rows, presets and YAML say the same, and what is checked is what is saved."""

import re
from dataclasses import replace
from functools import partial
from html import unescape

import pytest

from support.database import database
from support.pages import hidden_fields, pages_for, text_of
from support.people import person
from support.world import World
from wavegate_controller.documents import PlanChange, RolloutDocument, TemplateDocument, parse
from wavegate_controller.domain.access import Role
from wavegate_controller.domain.audit import AuditFilter
from wavegate_controller.domain.measurement import Labelled, Series
from wavegate_controller.domain.rollout import State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.providers.past import Past
from wavegate_controller.service import audits, rollouts, templates
from wavegate_controller.service.publish import publish_latest
from wavegate_controller.store import SqlStore

ADA = person("ada")
NEW = "/flags/ai-summaries/rollouts/new"
PLAN = "/flags/ai-summaries/plan"
WAVES = {
    "waves": "3",
    "wave-0-percent": "20",
    "wave-0-bake": "5m",
    "wave-0-approvers": "2",
    "wave-1-percent": "100",
    "wave-1-bake": "5m",
    "wave-1-approvers": "0",
    "wave-2-bake": "5m",
}
GATES = {
    "gates": "2",
    "gate-0-kind": "error_rate",
    "gate-1-kind": "threshold",
    "gate-1-name": "p95",
    "gate-1-query": 'p95{flag="{{flag}}"}',
    "gate-1-operator": "<",
    "gate-1-limit": "0.8",
}
TYPED = {"candidate": "on", "windows": "0", "plan-interval": "15s", "plan-on_breach": "roll_back"} | WAVES | GATES


@pytest.fixture
def world(tmp_path):
    with database(tmp_path) as engine:
        world = World.over(SqlStore(engine))
        publish_latest(world.services)
        world.flag()
        yield world


@pytest.fixture
def browser(world):
    return pages_for(world.services)


def fields_of(html):
    """What a browser would send of the page's form: every field as it stands there."""
    found = dict(hidden_fields(html))
    for tag in re.findall(r"<input[^>]*>", html):
        name, value = re.search(r' name="([^"]*)"', tag), re.search(r' value="([^"]*)"', tag)
        if name and ('type="checkbox"' not in tag or " checked" in tag):
            found[name[1]] = unescape(value[1]) if value else ""
    for name, text in re.findall(r'<textarea[^>]* name="([^"]*)"[^>]*>(.*?)</textarea>', html, re.DOTALL):
        found[name] = unescape(text).removeprefix("\n")
    for name, inside in re.findall(r'<select[^>]* name="([^"]*)"[^>]*>(.*?)</select>', html, re.DOTALL):
        options = re.findall(r'<option value="([^"]*)"( selected)?', inside)
        found[name] = unescape(next((value for value, chosen in options if chosen), options[0][0]))
    return found


def sent(browser, path, page, **fields):
    return browser.post(path, data=fields_of(page) | fields)


def rollouts_of(world):
    with world.services.store.transaction() as work:
        return work.rollouts.list("production", flag_key="ai-summaries")


def test_a_plan_is_checked_against_the_data_there_are_and_then_created_as_a_draft(world, browser):
    checked = browser.post(NEW, data=TYPED | {"do": "review"})
    nothing_yet = rollouts_of(world)
    created = sent(browser, NEW, checked.text, do="save")

    said = text_of(checked.text)
    (rollout,) = rollouts_of(world)
    assert "Passes while p95 is below 0.8. Rolls back when 2 of the last 3 looks are 0.8 or above." in said
    assert "Now: 0.3" in said
    assert 'p95{flag="ai-summaries"}' in said
    assert "Nobody can say: the traffic" in said
    assert "wavegate backtest -f - --from 7d" in said
    assert (list(nothing_yet), created.status_code) == ([], 303)
    assert ([wave.weight for wave in rollout.plan.waves], rollout.plan.waves[0].approvers) == ([20_000, 100_000], 2)
    assert [gate.name for gate in rollout.plan.gates] == ["error-rate", "p95"]
    assert rollout.state is State.DRAFT


def test_everything_that_a_plan_can_say_has_a_field(world, browser):
    further = {
        "wave-0-time_limit": "3h",
        "wave-0-on_time_limit": "pause",
        "wave-1-maximum": "9h",
        "gate-0-on_no_data.act": "pause",
        "gate-0-on_no_data.after": "30m",
        "gate-1-failures": "3",
        "gate-1-of": "5",
        "gate-1-warn": "0.6",
        "gate-1-window": "2m",
        "plan-on_breach": "step_back",
        "plan-hold_out": "5",
        "plan-keep_hold_out": "on",
        "plan-final_bake": "1d",
        "plan-on_cannot_measure.act": "roll_back",
        "plan-on_cannot_measure.after": "1h",
        "guardrail-alpha": "0.01",
        "guardrail-sample_ratio": "on",
        "windows": "1",
        "window-0-name": "weekend",
        "window-0-from": "fri 16:00",
        "window-0-to": "mon 08:00",
        "budget": "error-rate=50",
    }
    checked = browser.post(NEW, data=TYPED | further | {"do": "review"})

    created = sent(browser, NEW, checked.text, do="save")

    assert created.status_code == 303
    (rollout,) = rollouts_of(world)
    plan = rollout.plan
    first, threshold = plan.gates
    assert (plan.waves[0].time_limit.total_seconds(), plan.waves[0].on_time_limit) == (3 * 3600, "pause")
    assert plan.waves[1].maximum.total_seconds() == 9 * 3600
    assert (first.on_no_data.act, first.on_no_data.after.total_seconds()) == ("pause", 1800)
    assert (threshold.failures, threshold.of, threshold.warn, threshold.window.total_seconds()) == (3, 5, 0.6, 120)
    assert (plan.on_breach, plan.hold_out, plan.keep_hold_out) == ("step_back", 5000, True)
    assert (plan.final_bake.days, plan.on_cannot_measure.act, plan.on_no_data.act) == (1, "roll_back", "hold")
    assert (plan.guardrail.alpha, plan.guardrail.sample_ratio, plan.budget) == (0.01, True, {"error-rate": 50})
    assert [each.name for each in plan.freeze_windows] == ["weekend"]


def test_a_plan_is_checked_while_the_metrics_server_is_away(world, browser):
    world.metrics.away = True

    said = text_of(browser.post(NEW, data=TYPED | {"do": "review"}).text)

    assert "Now: cannot be measured: connection refused" in said
    assert "Nobody can say: the metrics server cannot be asked: connection refused." in said


#: What is typed to where it is said that it is wrong.
WRONG = [
    ({"wave-1-percent": "10"}, "wave-1-error"),
    ({"wave-0-percent": "much"}, "wave-0-error"),
    ({"wave-0-time_limit": "1m"}, "wave-0-time_limit-error"),
    ({"gate-1-limit": "low"}, "gate-1-limit-error"),
    ({"gate-1-limit": ""}, "gate-1-limit-error"),
    ({"gate-1-failures": "9"}, "gate-1-failures-error"),
    ({"gate-1-name": "error-rate"}, "gate-1-name-error"),
    ({"plan-interval": "often"}, "plan-interval-error"),
    ({"plan-keep_hold_out": "on"}, "plan-keep_hold_out-error"),
    ({"guardrail-alpha": "2"}, "guardrail-alpha-error"),
    ({"budget": "cost=2"}, "field-budget-error"),
    ({"windows": "1", "window-0-from": "fri", "window-0-to": "never"}, "window-0-to-error"),
]


def test_what_is_wrong_with_a_plan_is_said_at_its_field_and_kept(world, browser):
    answers = {said: browser.post(NEW, data=TYPED | fields | {"do": "review"}) for fields, said in WRONG}

    assert [said for said, answer in answers.items() if f'id="{said}"' not in answer.text] == []
    assert {(answer.status_code, 'value="5m"' in answer.text) for answer in answers.values()} == {(422, True)}
    assert list(rollouts_of(world)) == []


def test_gates_are_added_opened_and_removed_without_creating_anything(world, browser):
    page = browser.get(NEW).text

    added = sent(browser, NEW, page, new="preset:cost:wavegate", do="add").text
    opened = sent(browser, NEW, added, do="open:2").text
    removed = sent(browser, NEW, opened, do="remove:0").text
    own = sent(browser, NEW, removed, new="webhook", do="add").text

    assert 'name="gate-2-limit" value="0.02"' in added
    assert 'name="gate-2-kind" value="threshold"' in opened
    assert "wavegate_value_total" in opened
    assert ('value="error-rate"' in opened, 'name="gate-2-kind"' in removed) == (True, False)
    assert 'name="gate-2-url"' in own
    assert list(rollouts_of(world)) == []


def test_yaml_that_was_typed_beside_the_fields_is_taken(world, browser):
    page = browser.post(NEW, data=TYPED | {"do": "review"}).text
    yaml = fields_of(page)["yaml"].replace("limit: 0.8", "limit: 0.7").replace("percent: 20", "percent: 30")

    taken = sent(browser, NEW, page, yaml=yaml, do="review")

    assert taken.status_code == 200
    assert 'name="gate-1-limit" value="0.7"' in taken.text
    assert 'name="wave-0-percent" value="30"' in taken.text


def test_yaml_and_fields_that_were_both_changed_are_never_mixed(world, browser):
    page = browser.post(NEW, data=TYPED | {"do": "review"}).text
    yaml = fields_of(page)["yaml"].replace("limit: 0.8", "limit: 0.7")
    both = {"yaml": yaml, "wave-0-percent": "30"}

    refused = sent(browser, NEW, page, **both, do="review")
    taken = sent(browser, NEW, refused.text, do="yaml").text
    put_back = sent(browser, NEW, refused.text, do="back").text

    assert refused.status_code == 409
    assert "Both the fields and the YAML" in text_of(refused.text).replace("both", "Both")
    assert fields_of(refused.text)["yaml"] == yaml
    assert ('value="0.7"' in taken, 'name="wave-0-percent" value="20"' in taken) == (True, True)
    assert ("limit: 0.8" in fields_of(put_back)["yaml"], 'value="30"' in put_back) == (True, True)


def test_yaml_that_is_no_plan_is_refused_and_kept(world, browser):
    page = browser.get(NEW).text

    for yaml in ("a: [", "- type: threshold", "gates: nonsense", "waves: [{percent: 200}]"):
        answer = sent(browser, NEW, page, yaml=yaml, do="yaml")

        assert answer.status_code == 422
        assert fields_of(answer.text)["yaml"] == yaml


def test_a_rollout_keeps_the_template_that_its_plan_was_taken_from(world, browser):
    document = parse(TemplateDocument, {"description": "slowly", "plan": {"waves": [{"percent": 5}, {"percent": 50}]}})
    templates.save_template(world.services, "careful", document, by=ADA)
    page = browser.get(NEW).text

    taken = sent(browser, NEW, page, template="careful@1", do="template").text
    checked = sent(browser, NEW, taken, do="review").text
    sent(browser, NEW, checked, do="save")

    (rollout,) = rollouts_of(world)
    assert ([wave.weight for wave in rollout.plan.waves], rollout.template) == ([5000, 50_000], "careful@1")


def test_a_plan_that_was_changed_is_no_longer_the_templates(world, browser):
    templates.save_template(world.services, "careful", parse(TemplateDocument, {}), by=ADA)
    taken = sent(browser, NEW, browser.get(NEW).text, template="careful@1", do="template").text

    checked = sent(browser, NEW, taken, **{"wave-0-percent": "7", "do": "review"}).text
    sent(browser, NEW, checked, do="save")

    (rollout,) = rollouts_of(world)
    assert (rollout.plan.waves[0].weight, rollout.template) == (7000, None)


def test_a_live_preview_creates_nothing_and_says_what_is_wrong_beside_the_form(world, browser):
    right = browser.post(NEW, data=TYPED | {"do": "live"})
    wrong = browser.post(NEW, data=TYPED | {"gate-1-limit": "low", "do": "live"})

    assert "Now: 0.3" in text_of(right.text.partition('id="beside"')[2])
    assert "plan.gates[1].limit" in wrong.text.partition('id="beside"')[2]
    assert list(rollouts_of(world)) == []


def draft(world):
    document = parse(RolloutDocument, {"flag": "ai-summaries", "plan": {"waves": [{"percent": 10}, {"percent": 100}]}})
    return rollouts.create_rollout(world.services, document, by=ADA)


def test_the_plan_of_a_draft_is_changed_and_signed(world, browser):
    before = draft(world)
    page = browser.get(PLAN).text

    checked = sent(browser, PLAN, page, **{"wave-0-percent": "15", "comment": "fewer steps", "do": "review"}).text
    saved = sent(browser, PLAN, checked, do="save")

    (after,) = rollouts_of(world)
    (entry,) = audits.find(world.services, AuditFilter(action="rollout.change"), limit=1, by=ADA)
    assert saved.status_code == 303
    assert (after.plan.waves[0].weight, after.version, after.id) == (15_000, before.version + 1, before.id)
    assert (entry.note.reason, entry.note.before["plan"]["waves"][0]["percent"]) == ("fewer steps", 10)


def test_a_draft_that_somebody_else_changed_meanwhile_shows_both_sides(world, browser):
    rollout = draft(world)
    page = browser.get(PLAN).text
    theirs = {"plan": {"waves": [{"percent": 10}, {"percent": 100}], "on_breach": "pause", "hold_out": 5}}
    rollouts.change_plan(world.services, rollout.id, parse(PlanChange, theirs), by=person("linus"))

    answer = sent(browser, PLAN, page, **{"plan-on_breach": "step_back", "do": "save"})
    checked = sent(browser, PLAN, answer.text, do="review").text
    saved = sent(browser, PLAN, checked, do="save")

    said, (after,) = text_of(answer.text), rollouts_of(world)
    assert answer.status_code == 409
    assert "What only they changed is taken over below: hold_out." in said
    assert "Both of you changed on_breach" in said
    assert saved.status_code == 303
    assert (after.plan.on_breach, after.plan.hold_out) == ("step_back", 5000)


def test_the_plan_of_what_has_begun_is_fixed(world, browser):
    draft(world)
    page = browser.get(PLAN).text
    rollouts.act(world.services, "ai-summaries:1", Event.START, by=ADA)

    for answer in (browser.get(PLAN), sent(browser, PLAN, page, do="save")):
        assert answer.status_code == 409
        assert "has begun, so its plan is fixed" in text_of(answer.text)


class Remembers:
    """A metrics server with a past in which candidate and stable alike fail once in a hundred requests."""

    def vector(self, promql, *, at):
        return (Labelled(labels={}, value=0.5),)

    def values(self, promql, *, start, end, step):
        looks = [start + number * step for number in range((end - start) // step + 1)]
        return (Series(labels={}, samples=tuple((at.timestamp(), 0.9) for at in looks)),)

    def check(self, promql):
        return None

    def kind_of(self, metric):
        return None

    def alert_rule(self, name):
        return None

    def samples(self, selector, *, at, lookback):
        return ()


def test_a_plan_is_tried_on_the_last_days_and_drawn(world):
    history = Remembers()
    services = replace(world.services, rewind=partial(Past, history))
    browser = pages_for(services)

    answer = browser.post(NEW, data=TYPED | {"gate-0-kind": "", "days": "0.1", "do": "try"})

    said = text_of(answer.text.partition('id="tried"')[2])
    assert answer.status_code == 200
    assert "roll back, 0 %" in said
    assert 'id="tried-1"' in answer.text
    assert list(rollouts_of(world)) == []


def test_days_that_cannot_be_tried_are_refused_at_their_field(world):
    browser = pages_for(replace(world.services, rewind=partial(Past, Remembers())))

    for days, said in (("many", "is no number of days"), ("90", "out of range")):
        answer = browser.post(NEW, data=TYPED | {"days": days, "do": "try"})

        assert answer.status_code == 422
        assert said in text_of(answer.text)
        assert 'id="days-error"' in answer.text


def test_where_metrics_have_no_past_nothing_is_tried(browser):
    answer = browser.post(NEW, data=TYPED | {"do": "try"})

    assert answer.status_code == 422
    assert "this source of metrics has no past" in text_of(answer.text)


def test_a_viewer_may_plan_no_rollout(world):
    draft(world)
    viewer = pages_for(world.services, Role.VIEWER)

    assert viewer.get(NEW).status_code == 403
    assert viewer.post(NEW, data=TYPED).status_code == 403
    assert viewer.get(PLAN).status_code == 403
    assert viewer.post(PLAN, data=TYPED | {"version": "1"}).status_code == 403
