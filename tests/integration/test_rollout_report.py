"""The report of a rollout: what stands in it, with charts, on every way to it."""

import pytest
from click.testing import CliRunner

from support import control_plane
from support.pages import pages_for
from support.people import person
from support.rollouts import NOW
from wavegate_controller.cli import main
from wavegate_controller.documents.sketches import sketch
from wavegate_controller.domain.answers import FeedbackAnswer, Source
from wavegate_controller.domain.measurement import Value
from wavegate_controller.domain.transitions import Event
from wavegate_controller.service.feedback import keep
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.service.rollouts import act

KEY = "ai-summaries"
GATE = {"type": "threshold", "name": "latency", "query": "p95", "operator": "<", "limit": 0.5}
HARM = "<script>alert(1)</script> [x](javascript:1) | cell"


@pytest.fixture
def world(tmp_path):
    with control_plane.world(tmp_path) as world:
        world.flag()
        yield world


@pytest.fixture
def told(world):
    """A rollout that a person promoted and that its gate has rolled back, with what was said of it."""
    rollout = world.started(gates=[GATE])
    for value in (0.2, 0.3):
        world.metrics.value = Value(value=value)
        world.clock.advance(seconds=15)
        reconcile(world.services, rollout.id)
    act(world.services, rollout.id, Event.PROMOTE, by=person("mia"), comment=HARM)
    answer = FeedbackAnswer(
        key="1",
        environment="production",
        flag_key=KEY,
        variant="on",
        thumbs_up=False,
        comment=HARM,
        source=Source.SERVER,
        at=world.clock.now(),
    )
    keep(world.services, [answer])
    world.metrics.value = Value(value=0.9)
    for _ in range(4):
        world.clock.advance(seconds=15)
        reconcile(world.services, rollout.id)
    return control_plane.client(world.services).get(f"/api/v1/rollouts/{KEY}/report").json


def test_it_tells_waves_values_decisions_and_signatures(told):
    text = told["markdown"]

    assert "| 1 | 10 % | 2026-01-01 12:00:00 | 2026-01-01 12:00:30 | promote (requested) by mia |" in text
    assert "| roll back (breach) by its gates |" in text
    assert "- candidate: last 0.9, lowest 0.2, highest 0.9" in text
    assert "- limit: 0.5" in text
    assert "0 thumbs up, 1 thumbs down." in text
    assert "| 2026-01-01 12:00:30 | mia | promote 25 %, review " in text
    assert "Now rolled back at 0 % of users." in text


def test_nobodys_words_are_markup_in_it(told):
    assert "<script>" not in told["html"]
    assert "javascript:1" not in told["html"].replace("[x](javascript:1)", "")
    assert "<a " not in told["html"]


def test_each_gate_has_a_chart_of_its_values_its_limit_and_the_waves(told):
    html = told["html"]

    assert html.count("<svg") == 1
    assert "limit 0.5" in html
    assert html.count("<polyline") == 1
    assert "25 %</text>" in html


def test_the_page_and_the_command_show_the_same(world, told):
    page = pages_for(world.services).get(f"/flags/{KEY}/report").text
    draft = pages_for(world.services).get("/flags/none/report")

    assert '<svg class="sketch"' in page
    assert "lowest 0.2" in page
    assert draft.status_code == 404
    assert CliRunner().invoke(main, ["rollout", "report", KEY, "--html", "--json"]).exit_code == 2


def test_nothing_to_draw_is_no_chart_and_one_look_is_one():
    assert sketch("nothing", [("on", [])]) == ""
    assert "<polyline" in sketch("one", [("on", [(NOW, 0.0)])], limit=0.0, marks=[(NOW, "<10 %>")])
    assert "&lt;10 %&gt;" in sketch("one", [("on", [(NOW, 0.0)])], marks=[(NOW, "<10 %>")])
