"""The first screen of a flag on a laptop: verdicts, values and acts of five gates, and nothing of it below the fold."""

import pytest

from support.database import database
from support.pages import serving
from support.world import World
from wavegate_controller.service.publish import publish_latest
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.store import SqlStore

pytestmark = pytest.mark.slow

GATES = [
    {"type": "error_rate"},
    {"type": "error_rate", "name": "latency", "kinds": ["slow"], "ceiling": 0.5},
    {"type": "threshold", "name": "p95", "query": "p95", "operator": "<", "limit": 0.8, "warn": 0.5},
    {"type": "value", "name": "cost", "value": "cost_usd"},
    {"type": "feedback"},
]
#: Where nobody is asked who they are, every page begins with a line that says so.
FOLD = 900 - 40


@pytest.fixture
def world(tmp_path):
    with database(tmp_path) as engine:
        world = World.over(SqlStore(engine))
        publish_latest(world.services)
        world.flag()
        yield world


def measured(world, gates):
    """A rollout whose gates have all that they can show."""
    for variant in ("on", "off"):
        world.metrics.count(variant, 0)
    world.started(gates=gates, waves=[{"percent": share, "bake": "15m"} for share in (10, 25, 50, 100)], hold_out=5)
    for look in range(12):
        world.clock.advance(seconds=15)
        world.metrics.count("on", 40, bad=look % 2)
        world.metrics.count("off", 360, bad=2)
        reconcile(world.services, "ai-summaries:1")


@pytest.mark.parametrize("number", [2, 3, 5])
def test_verdicts_values_and_acts_are_seen_without_scrolling(world, page, axe, number):
    measured(world, GATES[:number])

    with serving(world.services) as url:
        page.goto(f"{url}/flags/ai-summaries")
        page.locator("#chart-1 .uplot canvas").wait_for()
        seen = {
            f"{selector} {index}": box["y"] + box["height"]
            for selector in ("#acts > *", "#now dd", ".gate .badge", ".gate .rule", ".gate .figure", ".gate > .chart")
            for index, each in enumerate(page.locator(selector).all())
            if (box := each.bounding_box())
        }
        axe(page)

    assert len(seen) > 6 * number
    assert {name: bottom for name, bottom in seen.items() if bottom > FOLD} == {}
