"""The OpenAPI document: it is one, it is complete, and its examples hold."""

import json

import jsonschema
import pytest
import schemathesis

from support import control_plane
from wavegate_controller.api.blueprint import OPERATIONS
from wavegate_controller.api.openapi import describe
from wavegate_controller.api.operations import Operations
from wavegate_controller.documents.shown import StatusShown

LISTED = [operation for part in OPERATIONS for operation in part.all if operation.is_listed]


@pytest.fixture
def served(tmp_path):
    with control_plane.world(tmp_path) as world:
        return control_plane.client(world.services, ada="ada-s-secret-token").get("/api/v1/openapi.json").json


def test_the_document_is_served_to_anybody_and_is_valid_openapi(served):
    assert served["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(served).validate()


def test_every_operation_is_listed_once_under_a_name_of_its_own(served):
    names = [operation["operationId"] for path in served["paths"].values() for operation in path.values()]

    assert sorted(names) == sorted({operation.name for operation in LISTED})


def test_every_schema_is_one_and_its_examples_hold(served):
    examples = 0
    for name, schema in served["components"]["schemas"].items():
        whole = {"$ref": f"#/components/schemas/{name}", "components": served["components"]}
        jsonschema.Draft202012Validator.check_schema(schema)
        for example in schema.get("examples", ()):
            jsonschema.Draft202012Validator(whole).validate(example)
            examples += 1

    assert examples >= 3


def test_every_body_has_an_example(served):
    bodies = {operation.body.__name__ for operation in LISTED if operation.body}

    assert {name for name in bodies if not served["components"]["schemas"][name].get("examples")} == set()


def test_every_part_of_a_path_and_every_parameter_is_described(served):
    described = [
        parameter["description"]
        for path in served["paths"].values()
        for operation in path.values()
        for parameter in operation["parameters"]
    ]

    assert described
    assert all(described)


def test_the_document_is_the_same_each_time():
    assert json.dumps(describe(OPERATIONS)) == json.dumps(describe(OPERATIONS))


def test_an_operation_that_forgets_a_part_of_its_path_is_refused_where_it_is_declared():
    things = Operations("things", "For a test.")

    with pytest.raises(TypeError, match=r"show_thing takes \[\], its path has \['name'\]"):

        @things.get("/things/{name}", "Show a thing", answer=StatusShown)
        def show_thing(): ...
