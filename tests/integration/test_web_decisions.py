"""The pages of decisions, over a real database with a rollout that the real reconciler moved."""

import re

import pytest
from sqlalchemy import text

from support.database import database
from support.pages import pages_for, text_of
from support.people import person
from support.world import World
from wavegate_controller.domain.access import Role
from wavegate_controller.domain.transitions import Event
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.service.rollouts import act
from wavegate_controller.store import SqlStore

GATES = [
    {"type": "error_rate"},
    {"type": "threshold", "name": "p95", "query": 'p95{flag="{{flag}}"}', "operator": "<", "limit": 0.8},
]


@pytest.fixture
def engine(any_database_url):
    with database(any_database_url) as engine:
        yield engine


@pytest.fixture
def world(engine):
    world = World.over(SqlStore(engine))
    world.flag()
    world.started(gates=GATES, interval="2s")
    for _ in range(5):
        world.clock.advance(seconds=2)
        world.metrics.count("on", 50, 1)
        world.metrics.count("off", 150, 3)
        reconcile(world.services, "ai-summaries:1")
    return world


@pytest.fixture
def browser(world):
    return pages_for(world.services)


def newest(world):
    with world.services.store.transaction() as work:
        return work.decisions.list("ai-summaries:1", limit=1)[0].id


def test_a_decision_is_made_again_and_shown_with_its_evidence_over_time(world, browser):
    page = browser.get(f"/decisions/{newest(world)}").text

    told = text_of(page)
    assert "Made again from the evidence that is stored: the same, bit by bit." in told
    assert "evidence of harm" in told
    assert page.count('class="line line-candidate"') >= 1
    assert "must stay &lt; 0.8" in page


def test_a_decision_whose_evidence_was_changed_comes_out_otherwise(world, engine, browser):
    number = newest(world)
    with engine.begin() as connection:
        connection.execute(text("update decision set sentence = 'all is well' where id = :id"), {"id": number})

    page = text_of(browser.get(f"/decisions/{number}").text)

    assert "it comes out otherwise" in page
    assert "made again: NOT the same" in page


def test_what_a_person_decided_is_not_made_again(world, browser):
    act(world.services, "ai-summaries:1", Event.PAUSE, by=person("grace"), comment="lunch")

    page = text_of(browser.get(f"/decisions/{newest(world)}").text)

    assert "A person decided this" in page
    assert "“lunch”" in page
    assert "No gate was asked for this decision." in page


def test_the_list_leads_to_each_decision_and_can_leave_out_the_holds(world, browser):
    every, moves = browser.get("/flags/ai-summaries/decisions"), browser.get("/flags/ai-summaries/decisions?moves=1")

    assert f'href="/decisions/{newest(world)}"' in every.text
    assert re.search(r"held \d looks?", text_of(every.text))
    assert "held" not in text_of(moves.text).partition("Moves only")[2]


def test_decisions_are_for_those_who_may_read_the_environment(world, browser):
    number = newest(world)

    assert pages_for(world.services, Role.VIEWER).get(f"/decisions/{number}").status_code == 200
    assert pages_for(world.services, Role.ADMIN, "staging").get(f"/decisions/{number}").status_code == 403
    assert browser.get("/decisions/999999").status_code == 404
    assert browser.get(f"/decisions/{10**30}").status_code == 404
    assert browser.get("/flags/ai-summaries/decisions?before=0").status_code == 404
