"""Whatever the OpenAPI document allows, and much that it does not: no failure, and each answer as the document says."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings, strategies
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from support import control_plane
from support.people import person
from wavegate_controller.domain.access import Role

TOKENS = {"ada": "ada-s-secret-token"}
HEADERS = {"Authorization": "Bearer ada-s-secret-token"}
#: What is valid by its schema may be refused by what only the controller knows, such as the variants of a flag.
EXCLUDED = [positive_data_acceptance]
#: Where the tests say who asks, no header does.
AS_SOMEBODY = [*EXCLUDED, ignored_auth]
#: Parts of paths that lead somewhere; made-up ones never would.
KNOWN = {
    "key": ["ai-summaries", "other"],
    "reference": ["ai-summaries", "ai-summaries:1", "other:1"],
    "decision": ["1"],
    "channel": ["ops"],
    "delivery": ["1"],
    "entry": ["1"],
}


@pytest.fixture
def application(any_database_url):
    with control_plane.world(any_database_url) as world:
        world.flag()
        world.started()
        world.flag("other")
        world.draft("other")
        yield control_plane.application(world.services, **TOKENS)


def hold(application, headers, *, examples, role=Role.ADMIN):
    """Ask every operation so many different things; the number of answers by status."""
    statuses = {}
    document = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application)
    for found in document.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), data=strategies.data())
        def ask(case, data):
            known = {name: KNOWN[name] for name in case.path_parameters or () if name in KNOWN}
            for name, values in known.items():
                case.path_parameters[name] = data.draw(strategies.sampled_from([*values, case.path_parameters[name]]))
            response = case.call_and_validate(headers=headers, excluded_checks=EXCLUDED if headers else AS_SOMEBODY)
            needed = control_plane.BY_NAME[case.operation.definition.raw["operationId"]].permission
            assert response.status_code >= 400 or needed is None or role.allows(needed)
            statuses[response.status_code] = statuses.get(response.status_code, 0) + 1

        ask()
    return statuses


def test_nothing_that_is_asked_makes_the_api_fail_or_answer_otherwise_than_it_says(application):
    statuses = hold(application, HEADERS, examples=4)

    assert {200, 422} <= set(statuses)


@pytest.mark.slow
def test_nothing_that_is_asked_at_length_makes_the_api_fail_or_answer_otherwise_than_it_says(application):
    statuses = hold(application, HEADERS, examples=50)

    assert {200, 201, 404, 409, 422} <= set(statuses)


@pytest.mark.slow
@pytest.mark.parametrize("role", Role)
def test_whatever_somebody_asks_their_role_is_enough_or_they_are_refused(new_sqlite_url, role):
    with control_plane.world(new_sqlite_url) as world:
        world.flag()
        world.started()
        application = control_plane.application(world.services, control_plane.As(person(role=role)))

        statuses = hold(application, {}, examples=8, role=role)

    assert (403 in statuses) is (role is not Role.ADMIN)
