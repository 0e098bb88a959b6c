"""The editors as plain HTTP: nothing is saved unseen, nothing that was typed is lost, and who may do it."""

from dataclasses import replace

import pytest

from support.database import database
from support.pages import hidden_fields, pages_for, text_of
from support.people import person
from support.world import World
from wavegate_controller.documents import FlagChange, parse
from wavegate_controller.domain.access import Role
from wavegate_controller.domain.audit import AuditFilter
from wavegate_controller.domain.errors import NotFound
from wavegate_controller.service import audits, flags
from wavegate_controller.service.publish import publish_latest
from wavegate_controller.store import SqlStore

ADA = person("ada")
NEW = {"key": "answer-model", "variant": ["small", "large"], "value": ['"s"', '{"model": "l"}'], "default": "0"}


@pytest.fixture
def world(any_database_url):
    with database(any_database_url) as engine:
        world = World.over(SqlStore(engine))
        publish_latest(world.services)
        yield world


@pytest.fixture
def browser(world):
    return pages_for(world.services)


def flag_of(world, key="ai-summaries"):
    return flags.get_flag(world.services, key, by=ADA)


def sent(browser, path, page, **fields):
    """The form of a page as a browser sends it, with these fields typed into it."""
    return browser.post(path, data=hidden_fields(page) | fields)


def test_a_flag_is_created_once_it_was_reviewed(world, browser):
    reviewed = browser.post("/new-flag", data=NEW | {"do": "review"})
    with pytest.raises(NotFound):
        flag_of(world, "answer-model")

    created = sent(browser, "/new-flag", reviewed.text, **NEW, do="save")

    assert "small is a string, large is a object" in text_of(reviewed.text)
    assert "wavegate flag create answer-model --variant 'small=\"s\"'" in text_of(reviewed.text)
    assert created.status_code == 303
    assert flag_of(world, "answer-model").variants == {"small": "s", "large": {"model": "l"}}


def test_what_was_not_reviewed_is_not_saved(world, browser):
    reviewed = browser.post("/new-flag", data=NEW | {"do": "review"})

    answer = sent(browser, "/new-flag", reviewed.text, **NEW | {"default": "1"}, do="save")

    assert answer.status_code == 200
    assert "This is not what you reviewed last" in answer.text
    with pytest.raises(NotFound):
        flag_of(world, "answer-model")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"key": "No good"}, "field-key-error"),
        ({"value": ["tru", "1"]}, "variant-0-error"),
        ({"variant": ["small", ""]}, "variant-1-error"),
        ({"default": ""}, "Is none of the variants"),
        ({"variant": ["small"], "value": ["1"]}, "at least two: what is served now and what is new"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_kept(browser, fields, field):
    answer = browser.post("/new-flag", data=NEW | {"description": "My words"} | fields)

    assert answer.status_code == 422
    assert field in answer.text
    assert 'value="My words"' in answer.text


def test_a_new_flag_may_be_let_off_its_stages_by_an_admin_with_a_reason(world):
    services = replace(world.services, needs_stages=True)
    admin, engineer = pages_for(services), pages_for(services, Role.ENGINEER)
    typed = NEW | {"exempt": "a switch of ours"}

    reviewed = admin.post("/new-flag", data=typed | {"do": "review"}).text
    created = sent(admin, "/new-flag", reviewed, **typed, do="save")
    refused = engineer.post("/new-flag", data=typed | {"key": "another"})

    assert "--exempt 'a switch of ours'" in text_of(reviewed)
    assert created.status_code == 303
    (entry,) = audits.find(services, AuditFilter(action="stage.override"), limit=1, by=ADA)
    assert (entry.note.subject, entry.note.reason) == ("answer-model", "a switch of ours")
    assert (refused.status_code, "field-exempt-error" in refused.text) == (422, True)
    assert "field-exempt" not in engineer.get("/new-flag").text


def test_a_taken_key_is_refused_before_it_is_saved(world, browser):
    world.flag("answer-model")

    answer = browser.post("/new-flag", data=NEW)

    assert answer.status_code == 409
    assert "there is a flag &#39;answer-model&#39; already" in answer.text


def test_one_more_row_is_given_without_losing_what_stands_in_the_others(browser):
    answer = browser.post("/new-flag", data=NEW | {"do": "more"})

    assert answer.text.count('name="variant"') == 3
    assert "{&#34;model&#34;: &#34;l&#34;}" in answer.text


def test_a_change_is_reviewed_saved_and_signed_with_its_reason(world, browser):
    world.flag()
    typed = {"description": "Summaries", "variant": ["on", "off"], "value": ["true", "false"], "default": "1"}
    page = browser.get("/flags/ai-summaries/edit").text

    reviewed = sent(browser, "/flags/ai-summaries/edit", page, **typed, comment="clearer", do="review").text
    saved = sent(browser, "/flags/ai-summaries/edit", reviewed, **typed, comment="clearer", do="save")

    (entry,) = audits.find(world.services, AuditFilter(action="flag.change"), limit=1, by=ADA)
    assert "description" in reviewed.partition('id="review"')[2]
    assert saved.status_code == 303
    assert flag_of(world).description == "Summaries"
    assert (entry.note.reason, entry.note.before) == ("clearer", {"description": ""})


def test_a_flag_that_somebody_else_changed_meanwhile_shows_both_sides_and_keeps_what_was_typed(world, browser):
    world.flag()
    typed = {"description": "Mine", "variant": ["on", "off"], "value": ["true", "false"], "default": "1"}
    page = browser.get("/flags/ai-summaries/edit").text
    theirs = parse(FlagChange, {"description": "Theirs", "salt": "spring"})
    flags.change_flag(world.services, "ai-summaries", theirs, by=person("linus"))

    answer = sent(browser, "/flags/ai-summaries/edit", page, **typed, do="save")
    typed |= {"salt": "spring"}
    reviewed = sent(browser, "/flags/ai-summaries/edit", answer.text, **typed, do="review").text
    saved = sent(browser, "/flags/ai-summaries/edit", reviewed, **typed, do="save")

    said = text_of(answer.text)
    assert answer.status_code == 409
    assert "What only they changed is taken over below: salt." in said
    assert "Both of you changed description" in said
    assert 'value="Mine"' in answer.text
    assert 'value="spring"' in answer.text
    assert saved.status_code == 303
    assert (flag_of(world).description, flag_of(world).salt) == ("Mine", "spring")


def test_what_a_rollout_holds_is_refused_and_kept(world, browser):
    world.flag()
    world.started()
    typed = {"description": "", "variant": ["on", "off"], "value": ["1", "0"], "default": "1"}
    page = browser.get("/flags/ai-summaries/edit").text

    reviewed = sent(browser, "/flags/ai-summaries/edit", page, **typed, do="review").text
    answer = sent(browser, "/flags/ai-summaries/edit", reviewed, **typed, do="save")

    assert answer.status_code == 409
    assert "is fixed while rollout" in answer.text
    assert flag_of(world).variants == {"on": True, "off": False}


def test_a_viewer_may_open_no_editor(world):
    world.flag()
    viewer = pages_for(world.services, Role.VIEWER)

    assert viewer.get("/new-flag").status_code == 403
    assert viewer.post("/new-flag", data=NEW).status_code == 403
    assert viewer.get("/flags/ai-summaries/edit").status_code == 403
    assert viewer.post("/flags/ai-summaries/edit", data={"key": "ai-summaries"}).status_code == 403


TARGETING = "/flags/ai-summaries/targeting"
RULE = {
    "rules": "1",
    "rule-0-attribute": ["country", "plan"],
    "rule-0-operator": ["in", "not equals"],
    "rule-0-value": ["NO, SE", "free"],
    "rule-0-match": "all",
    "rule-0-serve": "on",
    "rule-0-name": "Nordics",
}


def test_rules_read_as_sentences_and_are_saved_once_they_were_reviewed(world, browser):
    world.flag()
    page = browser.get(TARGETING).text
    typed = RULE | {"deny": "mallory\neve", "pilot:variant": "on", "pilot:keys": "ann", "pilot:limit": "5"}

    reviewed = sent(browser, TARGETING, page, **typed, do="review").text
    saved = sent(browser, TARGETING, reviewed, **typed, do="save")

    flag = flag_of(world)
    assert "If country is one of NO, SE and plan is not free, serve on" in text_of(reviewed)
    assert "wavegate flag change ai-summaries -f -" in reviewed
    assert saved.status_code == 303
    assert (flag.deny, flag.rules[0].name, flag.pilot.people.limit) == (("mallory", "eve"), "Nordics", 5)
    assert "If country is one of NO, SE and plan is not free, serve on" in text_of(browser.get(TARGETING).text)


def test_rules_are_added_moved_and_removed_without_saving_anything(world, browser):
    rule = {"if": {"attribute": "a", "operator": "exists"}, "serve": "on"}
    world.flag(rules=[rule | {"name": "first"}, rule | {"name": "second"}])
    page = browser.get(TARGETING).text
    lines = {f"rule-{n}-{name}": value for n in (0, 1) for name, value in (("attribute", "a"), ("operator", "exists"))}
    typed = (
        {"rules": "2", "rule-0-name": "first", "rule-1-name": "second"}
        | lines
        | {"rule-0-value": "", "rule-1-value": ""}
    )

    moved = sent(browser, TARGETING, page, **typed, do="up:1").text
    removed = sent(browser, TARGETING, page, **typed, do="remove:0").text
    added = sent(browser, TARGETING, page, **typed, do="add").text

    assert moved.index('value="second"') < moved.index('value="first"')
    assert 'value="first"' not in removed
    assert 'id="rule-2"' in added
    assert [each.name for each in flag_of(world).rules] == ["first", "second"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rule-0-serve": "maybe"}, "rule-0-error"),
        ({"rule-0-attribute": ["", ""], "rule-0-value": ["", ""]}, "rule-0-error"),
        ({"rule-0-operator": ["<", "equals"]}, "rule-0-error"),
        ({"prerequisites": "search"}, "field-prerequisites-error"),
        ({"pilot:variant": "off", "pilot:keys": "ann"}, "the stable variant itself"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_at_the_rule_and_kept(world, browser, fields, said):
    world.flag()
    page = browser.get(TARGETING).text

    answer = sent(browser, TARGETING, page, **RULE | fields, do="review")

    assert answer.status_code == 422
    assert said in answer.text
    assert 'value="Nordics"' in answer.text


def test_targeting_that_somebody_else_changed_meanwhile_is_put_together(world, browser):
    world.flag()
    page = browser.get(TARGETING).text
    flags.change_flag(world.services, "ai-summaries", parse(FlagChange, {"deny": ["eve"]}), by=person("linus"))

    answer = sent(browser, TARGETING, page, **RULE, do="save")

    assert answer.status_code == 409
    assert "What only they changed is taken over below: deny." in text_of(answer.text)
    assert "eve</textarea>" in answer.text
    assert 'value="Nordics"' in answer.text


def test_a_viewer_may_not_open_the_targeting(world):
    world.flag()

    assert pages_for(world.services, Role.VIEWER).get(TARGETING).status_code == 403
    assert pages_for(world.services, Role.VIEWER).post(TARGETING, data={"version": "1"}).status_code == 403
