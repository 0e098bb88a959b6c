"""From another system's export to a controller: imported by the command, applied, and served as the source would."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import support
from support import control_plane
from wavegate.evaluation import compile_ruleset, evaluate
from wavegate_controller.cli import main
from wavegate_controller.documents.texts import read_texts

NORWAY = {"contextName": "country", "operator": "IN", "values": ["NO"]}
CLAUSE = {"attribute": "country", "op": "in", "values": ["NO"]}
#: The same in each system: on for Norway, but never for ann.
EXPORTS = {
    "unleash": {
        "version": 2,
        "features": [
            {
                "name": "search",
                "enabled": True,
                "strategies": [{"name": "default", "constraints": [NORWAY], "segments": [1]}],
            }
        ],
        "segments": [
            {
                "id": 1,
                "name": "not ann",
                "constraints": [{"contextName": "userId", "operator": "NOT_IN", "values": ["ann"]}],
            }
        ],
    },
    "launchdarkly": {
        "flags": {
            "search": {
                "on": True,
                "variations": [True, False],
                "offVariation": 1,
                "targets": [{"variation": 1, "values": ["ann"]}],
                "rules": [{"clauses": [CLAUSE, {"op": "segmentMatch", "values": ["all"]}], "variation": 0}],
                "fallthrough": {"variation": 1},
            }
        },
        "segments": {"all": {"rules": [{"clauses": [{"attribute": "key", "op": "contains", "values": ["n", "o"]}]}]}},
    },
    "flagd": {
        "$evaluators": {"norway": {"==": [{"var": "country"}, "NO"]}},
        "flags": {
            "search": {
                "state": "ENABLED",
                "variants": {"on": True, "off": False},
                "defaultVariant": "off",
                "targeting": {"if": [{"in": [{"var": "targetingKey"}, ["ann"]]}, "off", {"$ref": "norway"}, "on"]},
            }
        },
    },
    "growthbook": {
        "features": {
            "search": {
                "defaultValue": False,
                "rules": [
                    {"condition": {"id": "ann"}, "force": False},
                    {"condition": {"country": "NO"}, "force": True},
                ],
            }
        }
    },
}


@pytest.fixture
def world(any_database_url):
    with control_plane.world(any_database_url) as world:
        yield world


def run(*arguments):
    return CliRunner().invoke(main, ["import", *map(str, arguments)])


@pytest.fixture
def exported(tmp_path):
    def write(source, document):
        file = tmp_path / f"{source}.json"
        file.write_text(json.dumps(document))
        return file

    return write


@pytest.mark.parametrize("source", EXPORTS)
def test_what_is_imported_is_applied_and_served(source, world, exported):
    imported = run(source, exported(source, EXPORTS[source]))
    documents = list(read_texts(imported.stdout))

    applied = control_plane.client(world.services).post(
        "/api/v1/configuration/apply", json={"documents": documents, "actor": "ada"}
    )

    assert imported.exit_code == 0, imported.output
    assert applied.status_code == 200, applied.json
    served = compile_ruleset(world.ruleset)
    who = [("bob", "NO"), ("ann", "NO"), ("bob", "SE")]
    variants = [evaluate(served, "search", key, None, {"country": country}).variant for key, country in who]
    assert variants == ["on", "off", "off"]


#: What is left out of exports that have all the fields of real ones, and some of what only their systems have.
LEFT_OUT = {
    "unleash": {
        "newCheckout: strategy 1 (flexibleRollout)",
        "checkout.banner: strategy 1 (flexibleRollout), constraint 1",
        "ops-kill-switch: enabled",
        "office-only: strategy 1 (remoteAddress)",
        "office-only: strategy 2 (gradualRolloutRandom)",
    },
    "launchdarkly": {
        "new-search: rule 2",
        "new-search: fallthrough",
        "search-backend: rule 2",
        "search-backend: fallthrough",
    },
    "growthbook": {"button-color: enabled", "aiModel: enabled", "limit: enabled"},
    "flagd": {
        "old: targeting",
        "version: targeting, branch 2",
        "version: targeting, else",
        "myObjectFlag: state",
    },
}


@pytest.mark.parametrize("source", LEFT_OUT)
def test_a_whole_export_is_applied_once_and_says_what_it_lacks(source, world, tmp_path):
    whole, report = Path(support.__path__[0]) / "exports" / f"{source}.json", tmp_path / "report.json"
    options = ["--exempt", "served already", "--report", report]
    if source != "flagd":
        options += ["--source-environment", "production"]
    imported = run(source, whole, *options)
    documents = list(read_texts(imported.stdout))
    api = control_plane.client(replace(world.services, needs_stages=True))

    applied, again = (
        api.post("/api/v1/configuration/apply", json={"documents": documents, "actor": "ada"}) for _ in range(2)
    )

    assert imported.exit_code == 0, imported.output
    assert applied.status_code == 200, applied.json
    assert {each["action"] for each in again.json["changes"]} == {"none"}
    notes = json.loads(report.read_text())
    assert {f"{each['flag']}: {each['construct']}" for each in notes if each["is_lost"]} == LEFT_OUT[source]


def test_where_stages_are_required_who_serves_people_needs_an_exemption(world, exported):
    api = control_plane.client(replace(world.services, needs_stages=True))
    file = exported("flagd", EXPORTS["flagd"])

    def applied(*options):
        documents = list(read_texts(run("flagd", file, *options).stdout))
        return api.post("/api/v1/configuration/apply", json={"documents": documents, "actor": "ada"})

    refused, taken = applied(), applied("--exempt", "served already")
    again = applied("--exempt", "served already")

    assert refused.status_code == 409
    assert taken.status_code == 200, taken.json
    assert {each["action"] for each in again.json["changes"]} == {"none"}


def test_the_report_names_what_is_left_out_and_strict_writes_nothing(exported, tmp_path):
    off = {"features": {"search": {"defaultValue": False, "rules": [{"force": True, "namespace": ["a", 0, 1]}]}}}
    file, report, output = exported("growthbook", off), tmp_path / "report.json", tmp_path / "flags.yaml"

    told = run("growthbook", file, "-o", output, "--report", report, "--environment", "staging")
    strict = run("growthbook", file, "--strict")

    assert told.exit_code == 0
    assert "search: rule 1, namespace" in told.stderr
    assert json.loads(report.read_text())[0]["construct"] == "rule 1, namespace"
    assert next(iter(read_texts(output.read_text())))["environment"] == "staging"
    assert (strict.exit_code, strict.stdout) == (1, "")


def test_a_file_of_another_kind_is_wrong_usage(exported):
    refused = run("flagd", exported("x", {"features": []}))

    assert refused.exit_code == 2
    assert "flags: is missing" in refused.stderr
