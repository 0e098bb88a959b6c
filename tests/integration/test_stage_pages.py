"""The pages of the stages: every act is a form that works without a script, and refusals keep what was typed."""

from dataclasses import replace

import pytest
from flask import Flask

from support import control_plane
from support.people import identity
from wavegate_controller.delivery import Hub
from wavegate_controller.domain.delivery import ConnectedClient
from wavegate_controller.web import make_web

KEY = "ai-summaries"
DISCOVERY = dict.fromkeys(
    ("problem", "business_owner", "sponsor", "success_metric", "target", "data", "data_quality", "budget"), "said"
)
PILOT = {"people": "ann\nbob\n cleo \ndan\neve\n", "department": "support", "region": "nordics"}


@pytest.fixture
def pages(tmp_path):
    with control_plane.world(tmp_path) as world:
        world.services = replace(world.services, needs_stages=True)
        world.flag()
        app = Flask("pages")
        app.register_blueprint(make_web(world.services, identity(world.services)))
        yield app.test_client()


def send(pages, path, **form):
    """The page after a form was sent as a browser does."""
    return pages.post(f"/flags/{KEY}/stages/{path}", data=form, follow_redirects=True)


def test_a_feature_goes_its_way_by_forms_alone(pages):
    send(pages, "write/discovery", version="0", **DISCOVERY)
    send(pages, "decide", outcome="go", reason="worth a try", version="1")
    send(pages, "write/proof_of_concept", question="q", result="r", assessment="feasible", left_out="l", version="2")
    send(pages, "decide", outcome="go", reason="it can be done", version="3")
    send(pages, "write/pilot", must_change="names in full", **PILOT)
    ready = send(pages, "decide", outcome="go", reason="they kept it on").text

    assert "In <b>production ready</b>" in ready
    assert "there is no plan to look at" in ready
    line = send(pages, "write/production_ready", item="security", owner="ada", evidence="a review", is_done="true").text
    assert '<span class="badge tone-good">done</span> <span class="muted">ada</span>' in line
    met = {"apps": "shop\n", "met-0": "prompt 14"}
    send(pages, "write/production_ready", **met)
    document = pages.get(f"/flags/{KEY}/stages/document/production_ready").text
    assert "| security | ada |  | done | a review |" in document
    assert "- names in full: prompt 14" in document
    assert "<td>security</td>" in document
    assert "<h2>What the pilot asked for</h2>" in document
    assert "ai-summaries" in pages.get("/portfolio").text


def test_what_is_refused_is_said_and_the_reason_stays(pages):
    refused = send(pages, "decide", outcome="go", reason="I am in a hurry")

    assert refused.status_code == 409
    assert "discovery.problem: is empty" in refused.text
    assert 'value="I am in a hurry"' in refused.text
    few = send(pages, "write/pilot", **PILOT | {"people": "ann"})
    assert few.status_code == 422
    assert "names 1 people" in few.text
    assert send(pages, "decide", outcome="perhaps", reason="x").status_code == 422
    assert send(pages, "write/scale").status_code == 404
    stale = send(pages, "decide", outcome="no_go", reason="x", version="7")
    assert (stale.status_code, "changed by somebody else" in stale.text) == (409, True)


def test_peoples_words_are_text_and_no_html(pages):
    send(pages, "write/discovery", **DISCOVERY | {"problem": "<script>alert(1)</script>"})
    send(pages, "decide", outcome="no_go", reason="<b>no</b>")

    for path in (f"/flags/{KEY}/stages", "/portfolio", f"/flags/{KEY}/stages/document/discovery"):
        page = pages.get(path).text
        assert "<script>alert" not in page
        assert "<b>no</b>" not in page


@pytest.fixture
def connected(pages, monkeypatch):
    """One app, so that there is somebody to take off."""
    app = ConnectedClient(instance="i", sdk="python", app="shop", revision=1, held_seconds=1, streaming=True)
    monkeypatch.setattr(Hub, "clients", lambda self, environment: [app])
    return pages


def test_a_drill_is_begun_watched_and_aborted_by_forms_alone(connected):
    begun = connected.post(f"/flags/{KEY}/drill", data={"comment": "before the holidays"}, follow_redirects=True).text
    again = connected.post(f"/flags/{KEY}/drill", data={})
    ended = connected.post(f"/flags/{KEY}/drill/abort", follow_redirects=True).text

    assert "decided and rolled back …" in begun
    assert 'data-follows="0.5"' in begun
    assert (again.status_code, "is under way; end it first" in again.text) == (409, True)
    assert "ended before everybody was off" in ended
    assert 'data-follows=""' in ended
    assert connected.post(f"/flags/{KEY}/drill/abort").status_code == 303


def test_a_real_drill_says_why_it_cannot_be_and_is_not_begun_by_one_click(connected):
    shown = connected.get(f"/flags/{KEY}/drill").text
    refused = connected.post(f"/flags/{KEY}/drill", data={"real": "true"})

    assert "Not now: no rollout of flag" in shown
    assert refused.status_code == 422
    assert "users lose the candidate meanwhile" in refused.text
