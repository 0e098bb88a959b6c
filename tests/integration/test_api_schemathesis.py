"""Whatever the OpenAPI document allows, and much that it does not: no failure, and each answer as the document says."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings, strategies
from schemathesis.specs.openapi.checks import positive_data_acceptance

from support import control_plane

TOKENS = {"ada": "ada-s-secret-token"}
HEADERS = {"Authorization": "Bearer ada-s-secret-token"}
#: What is valid by its schema may be refused by what only the controller knows, such as the variants of a flag.
EXCLUDED = [positive_data_acceptance]
#: Parts of paths that lead somewhere; made-up ones never would.
KNOWN = {
    "key": ["ai-summaries", "other"],
    "reference": ["ai-summaries", "ai-summaries:1", "other:1"],
    "decision": ["1"],
}


@pytest.fixture
def application(any_database_url):
    with control_plane.world(any_database_url) as world:
        world.flag()
        world.started()
        world.flag("other")
        world.draft("other")
        yield control_plane.application(world.services, **TOKENS)


def hold(application, headers, *, examples):
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
            response = case.call_and_validate(headers=headers, excluded_checks=EXCLUDED)
            statuses[response.status_code] = statuses.get(response.status_code, 0) + 1

        ask()
    return statuses


def test_nothing_that_is_asked_makes_the_api_fail_or_answer_otherwise_than_it_says(application):
    statuses = hold(application, HEADERS, examples=5)

    assert {200, 422} <= set(statuses)


@pytest.mark.slow
def test_nothing_that_is_asked_at_length_makes_the_api_fail_or_answer_otherwise_than_it_says(application):
    statuses = hold(application, HEADERS, examples=200)

    assert {200, 201, 404, 409, 422} <= set(statuses)
