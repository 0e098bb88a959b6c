"""What is offered to whom, and why not the rest."""

from support.people import person
from support.rollouts import a_plan, a_rollout
from wavegate_controller.domain.access import Role
from wavegate_controller.domain.passport import Stage
from wavegate_controller.domain.rollout import State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.service.offers import offers


def open_to(rollout, name, role):
    return {event for event, offer in offers(rollout, by=person(name, role)).items() if offer.is_open}


def test_who_may_not_is_told_which_role_it_takes():
    found = offers(a_rollout(), by=person("vera", Role.VIEWER))

    assert found[Event.ROLL_BACK].why_not == "takes the role engineer or a stronger one"
    assert found[Event.PROMOTE].why_not == "takes the role approver or a stronger one"
    assert open_to(a_rollout(), "vera", Role.VIEWER) == set()


def test_an_engineer_stops_and_an_approver_promotes():
    engineer, approver = (open_to(a_rollout(), "bert", role) for role in (Role.ENGINEER, Role.APPROVER))

    assert Event.ROLL_BACK in engineer
    assert approver - engineer == {Event.PROMOTE}


def test_a_feature_that_may_not_scale_is_only_taken_back():
    found = offers(a_rollout(), by=person(), stage=Stage.PILOT)

    assert found[Event.PROMOTE].why_not == "takes a feature in stage scale, and it is in stage pilot"
    assert found[Event.ROLL_BACK].is_open
    assert offers(a_rollout(), by=person(), stage=Stage.SCALE)[Event.PROMOTE].is_open


def test_the_author_of_a_rollout_never_approves_it():
    waiting = a_rollout(state=State.AWAITING_APPROVAL, plan=a_plan())

    assert offers(waiting, by=person("anna"))[Event.APPROVE].why_not == "takes an approver other than its author"
    assert Event.APPROVE in open_to(waiting, "bert", Role.APPROVER)
