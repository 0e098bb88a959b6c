"""The page's Flask app, through Flask's test client."""

import importlib

import pytest

import wavegate
from support.listings import RULESET, totals, write_listings
from support.stand_in import StandIn


@pytest.fixture
def shop(tmp_path, monkeypatch):
    write_listings("integrations.md", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module("flask_shop")


@pytest.fixture
def app(shop):
    with StandIn() as controller:
        controller.serve(RULESET)
        with wavegate.Client(controller.url) as gate:
            assert gate.wait_ready(10)
            yield shop.create_app(gate).test_client()


def test_a_view_is_a_trial_and_metrics_shows_it(app):
    requests, bad = totals(app.get("/metrics").text)

    answers = [app.get("/summary/anna").text, app.get("/banner/anna").text]
    failed = app.get("/summary/unlucky")

    assert answers == ["three points", "new"]
    assert failed.status_code == 500
    after, bad_after = totals(app.get("/metrics").text)
    assert after - requests == {"on": 2}
    assert bad_after - bad == {"error": 1}


def test_the_factory_makes_a_client_by_itself(shop, monkeypatch):
    with StandIn() as controller:
        controller.serve(RULESET)
        monkeypatch.setenv("WAVEGATE_URL", controller.url)
        made = []
        monkeypatch.setattr(wavegate, "Client", lambda *given: made.append(_Client(*given)) or made[-1])

        app = shop.create_app().test_client()
        made[0].wait_ready(10)

        assert app.get("/banner/anna").text == "new"
        made[0].close()


_Client = wavegate.Client
