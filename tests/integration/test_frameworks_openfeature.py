"""The listings of docs/openfeature.md, one after the other."""

import asyncio
import importlib

import pytest
from openfeature import api

from support.listings import RULESET, write_listings
from support.stand_in import StandIn
from wavegate.testing import Feedback, Outcome, override


@pytest.fixture
def listing(tmp_path, monkeypatch):
    write_listings("openfeature.md", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with StandIn() as controller:
        controller.serve(RULESET)
        monkeypatch.setenv("WAVEGATE_URL", controller.url)
        shop = importlib.import_module("openfeature_shop")
        with shop.gate:
            yield importlib.import_module
            api.clear_providers()


def test_flags_are_asked_through_openfeature(listing):
    shop = listing("openfeature_shop")

    answers = [shop.banner("anna", "DE"), asyncio.run(shop.banner_async("anna")), shop.summary("anna")]

    assert answers == ["new", "new", "three points"]


def test_outcomes_and_feedback_are_tracked(listing):
    shop, tracking = listing("openfeature_shop"), listing("openfeature_tracking")

    with override(shop.gate, {"ai-summaries": True}) as gate:
        tracking.thumbs_down("anna", "too long")
        tracking.finished("ben", 2.5, 0.02)

    arm = {"flag_key": "ai-summaries", "variant": "on"}
    assert gate.feedbacks == [Feedback(targeting_key="anna", thumbs_up=False, comment="too long", **arm)]
    assert gate.outcomes == [Outcome(targeting_key="ben", values={"cost_usd": 0.02}, **arm)]
    assert gate.outcomes[0].seconds == pytest.approx(2.5, abs=0.5)
