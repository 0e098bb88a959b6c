"""The page's Django app, through Django's test clients."""

import asyncio
import sys

import pytest

from support.listings import RULESET, totals, write_listings
from support.stand_in import StandIn


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    """Django with the app in it, once for the process: it can be set up only once."""
    folder = tmp_path_factory.mktemp("django")
    write_listings("integrations.md", folder)
    sys.path.insert(0, str(folder))
    import django
    from django.apps import apps
    from django.conf import settings

    with StandIn() as controller:
        controller.serve(RULESET)
        settings.configure(
            INSTALLED_APPS=["django_shop.Shop"],
            MIDDLEWARE=["django_shop.flags"],
            ROOT_URLCONF="django_shop",
            ALLOWED_HOSTS=["testserver"],
            WAVEGATE_URL=controller.url,
            WAVEGATE_SDK_KEY=None,
        )
        django.setup()
        gate = apps.get_app_config("django_shop").gate
        with gate:
            assert gate.wait_ready(10)
            yield gate
    sys.path.remove(str(folder))


@pytest.fixture
def app(gate):
    from django.test import Client

    return Client(raise_request_exception=False)


def test_a_view_is_a_trial_and_metrics_shows_it(app):
    requests, bad = totals(app.get("/metrics").text)

    answers = [app.get("/summary/anna").text, app.get("/banner/anna").text]
    failed = app.get("/summary/unlucky")

    assert answers == ["three points", "new"]
    assert failed.status_code == 500
    after, bad_after = totals(app.get("/metrics").text)
    assert after - requests == {"on": 2}
    assert bad_after - bad == {"error": 1}


def test_asynchronous_views_ask_without_waiting(gate):
    from django.test import AsyncClient

    answer = asyncio.run(AsyncClient().get("/banner/anna"))

    assert answer.text == "new"
