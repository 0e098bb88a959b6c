"""What a page says will happen next, and when."""

from dataclasses import replace
from datetime import timedelta

import pytest

from support.rollouts import NOW, a_plan, a_rollout
from wavegate_controller.domain.plan import Approval, Wave
from wavegate_controller.domain.rollout import State
from wavegate_controller.service.queries import RolloutView
from wavegate_controller.web.expected import expected


def view(**changes):
    return RolloutView(rollout=a_rollout(**changes), latest=None, moved=None, flag_enabled=True)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"state": State.DRAFT, "wave": None}, "waits until somebody starts it"),
        ({"state": State.PAUSED}, "stays until somebody resumes it"),
        ({"state": State.AWAITING_APPROVAL}, "waits until an approver signs"),
    ],
)
def test_what_waits_for_a_person_says_so_and_names_no_time(changes, what):
    found = expected(view(**changes), now=NOW)

    assert (found.what, found.at) == (what, None)


def test_a_wave_is_left_when_it_has_baked_at_the_earliest():
    found = expected(view(), now=NOW + timedelta(minutes=1))

    assert (found.what, found.at) == ("goes on to 25 % of users", NOW + timedelta(minutes=10))
    assert found.because == "the wave bakes until then"


def test_the_last_wave_completes_and_a_manual_one_asks():
    plan = a_plan()
    manual = replace(
        plan, waves=(Wave(weight=10_000, bake=timedelta(minutes=1), approval=Approval.MANUAL), *plan.waves[1:])
    )

    assert expected(view(wave=3), now=NOW).what == "completes"
    assert expected(view(plan=replace(plan, final_bake=timedelta(hours=1)), wave=3), now=NOW).what.startswith(
        "begins the bake"
    )
    assert expected(view(plan=manual), now=NOW).what == "asks for approval"


def test_what_has_ended_expects_nothing():
    assert expected(view(state=State.ROLLED_BACK), now=NOW) is None
