"""Roles, permissions, and what one person may give another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.people import person
from wavegate_controller.domain.access import (
    EVERYWHERE,
    LEAST_ROLE,
    SYSTEM,
    Kind,
    Permission,
    Principal,
    Role,
    covers,
    role_in,
)
from wavegate_controller.domain.errors import Forbidden, Invalid

PLACES = ["production", "staging", EVERYWHERE]
some_roles = st.dictionaries(st.sampled_from(PLACES), st.sampled_from(Role))


def test_every_permission_has_its_least_role():
    assert set(LEAST_ROLE) == set(Permission)


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.REPORTER, {Permission.REPORT_ALERTS}),
        (Role.VIEWER, {Permission.READ}),
        (Role.ENGINEER, {Permission.READ, Permission.AUDIT, Permission.EDIT, Permission.REPORT_ALERTS}),
        (Role.APPROVER, set(Permission) - {Permission.ADMINISTER}),
        (Role.ADMIN, set(Permission)),
    ],
)
def test_each_role_has_what_the_one_before_it_has_and_more(role, allowed):
    assert {each for each in Permission if role.allows(each)} == allowed


def test_a_role_in_one_environment_is_none_in_another():
    ada = person("ada", Role.ENGINEER, "staging")

    ada.require(Permission.EDIT, "staging")
    with pytest.raises(Forbidden, match="'ada' has no role in environment 'production'; this takes the role viewer"):
        ada.require(Permission.READ, "production")
    with pytest.raises(Forbidden, match="in all environments"):
        ada.require(Permission.READ, EVERYWHERE)


def test_the_stronger_of_the_role_here_and_the_role_everywhere_counts():
    ada = Principal(name="ada", kind=Kind.USER, roles={EVERYWHERE: Role.ENGINEER, "production": Role.VIEWER})

    assert ada.role("production") is Role.ENGINEER
    assert ada.role("staging") is Role.ENGINEER


@pytest.mark.parametrize(("name", "wrong"), [("", "is empty"), (" \t", "is empty"), ("wavegate", "controller itself")])
def test_nobody_is_nameless_or_takes_the_controllers_name(name, wrong):
    with pytest.raises(Invalid, match=wrong):
        person(name)


def test_the_controller_itself_may_do_everything_everywhere():
    assert all(SYSTEM.may(each, EVERYWHERE) for each in Permission)


@given(some_roles, some_roles)
def test_roles_that_are_covered_allow_nothing_beyond_in_any_environment(stronger, weaker):
    if covers(stronger, weaker):
        for place in [*PLACES, "another"]:
            role, other = role_in(stronger, place), role_in(weaker, place)
            assert other is None or (role is not None and role.covers(other))


@given(some_roles, some_roles)
def test_roles_that_are_not_covered_allow_something_beyond(stronger, weaker):
    if not covers(stronger, weaker):
        beyond = [
            place
            for place in [*PLACES, "another"]
            if (other := role_in(weaker, place)) and not ((own := role_in(stronger, place)) and own.covers(other))
        ]
        assert beyond
