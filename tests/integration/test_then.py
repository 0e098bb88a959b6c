"""A replay is held by the calendar and by other flags when the reconciler was: both ask the same of the same."""

from datetime import timedelta

import pytest

from support.database import database
from support.people import person
from support.world import World
from wavegate_controller.documents import CalendarDocument, FlagChange, parse
from wavegate_controller.domain.transitions import Event
from wavegate_controller.service.calendars import save_calendar
from wavegate_controller.service.circumstances import Surroundings
from wavegate_controller.service.flags import change_flag
from wavegate_controller.service.rollouts import act
from wavegate_controller.service.then import then_of
from wavegate_controller.store import SqlStore


@pytest.fixture
def world(tmp_path):
    with database(tmp_path) as engine:
        yield World.over(SqlStore(engine))


def test_a_replay_is_held_at_the_times_at_which_the_reconciler_was(world):
    world.flag("base")
    world.flag("ai")
    change = parse(FlagChange, {"prerequisites": [{"flag": "base", "variants": ["on"]}]})
    change_flag(world.services, "ai", change, by=person())
    begin = world.clock.now()
    window = {"name": "lunch", "from": f"{begin + timedelta(minutes=7):%Y-%m-%d %H:%M}"}
    window["to"] = f"{begin + timedelta(minutes=12):%Y-%m-%d %H:%M}"
    save_calendar(world.services, parse(CalendarDocument, {"freeze_windows": [window]}), by=person())
    waiting = world.draft("ai")
    then_held = []

    def pass_by(minutes):
        for _ in range(minutes):
            world.clock.advance(minutes=1)
            with world.services.store.transaction() as work:
                then_held.append((world.clock.now(), Surroundings(work, world.clock.now()).of(waiting)))

    pass_by(2)
    base = world.started("base", waves=[{"percent": 50, "bake": "1m"}, {"percent": 100, "bake": "1m"}])
    for event in (Event.PROMOTE, Event.PROMOTE, Event.ROLL_BACK):
        pass_by(3)
        act(world.services, base.id, event, by=person(), comment="as planned")
    pass_by(3)

    with world.services.store.transaction() as work:
        then = then_of(work, work.flags.get("production", "ai"))
    held = [(at, then.at(waiting, at)) for at, _ in then_held]

    assert [(at, each.frozen, each.waits_for) for at, each in held] == [
        (at, each.frozen, each.waits_for) for at, each in then_held
    ]
    assert {bool(each.waits_for) for _, each in held} == {bool(each.frozen) for _, each in held} == {True, False}
