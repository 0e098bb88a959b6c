"""A configuration from files: planned three ways, applied as a whole or not at all, exported as it can be applied."""

import pytest

from support import control_plane
from support.people import person
from wavegate_controller.service.environments import change_environment

ADA = {"actor": "ada", "comment": "seen enough"}
FLAG = {"key": "ai-summaries", "description": "Summaries", "variants": {"on": True, "off": False}}
PLAN = {"waves": [{"percent": 10, "bake": "5m"}, {"percent": 100}]}


@pytest.fixture
def world(any_database_url):
    with control_plane.world(any_database_url) as world:
        yield world


@pytest.fixture
def api(world):
    return control_plane.client(world.services)


def an(kind, **spec):
    return {"apiVersion": "wavegate/v1", "kind": kind, "spec": spec}


def rollout(**spec):
    return an("Rollout", **{"flag": "ai-summaries", "plan": PLAN} | spec)


def ask(api, verb, *documents, **further):
    signature = {"actor": "ada"} if verb == "apply" else {}
    return api.post(f"/api/v1/configuration/{verb}", json={"documents": list(documents)} | signature | further)


def actions(answer):
    assert answer.status_code == 200, answer.json
    return [(change["kind"], change["name"], change["action"]) for change in answer.json["changes"]]


def fields(answer):
    assert answer.status_code == 200, answer.json
    return [(each["field"], each["cause"]) for change in answer.json["changes"] for each in change["fields"]]


def test_a_plan_says_what_would_be_done_and_changes_nothing(api):
    planned = ask(api, "plan", rollout(start=True), an("Flag", **FLAG))

    assert actions(planned) == [("Flag", "ai-summaries", "create"), ("Rollout", "ai-summaries", "create")]
    assert planned.json["applied"] is False
    assert api.get("/api/v1/flags").json["items"] == []
    assert api.get("/api/v1/audit").json["items"] == []


def test_applying_makes_it_so_and_applying_again_changes_nothing(api, world):
    applied = ask(api, "apply", rollout(start=True), an("Flag", **FLAG))
    again = ask(api, "apply", rollout(start=True), an("Flag", **FLAG))

    assert applied.json["applied"] is True
    assert api.get("/api/v1/rollouts/ai-summaries").json["state"] == "running"
    assert world.served() == 10_000
    assert {action for _, _, action in actions(again)} == {"none"}
    assert [entry["action"] for entry in api.get("/api/v1/audit").json["items"]].count("rollout.create") == 1


def test_all_or_nothing(api):
    broken = rollout(candidate="purple")

    planned = ask(api, "plan", an("Flag", **FLAG), broken)
    refused = ask(api, "apply", an("Flag", **FLAG), broken)

    assert [change["blocked"] is None for change in planned.json["changes"]] == [True, False]
    assert (refused.status_code, refused.json["type"]) == (409, "urn:wavegate:problem:conflict")
    assert "'purple' is not a variant" in refused.json["detail"]
    assert api.get("/api/v1/flags").json["items"] == []


def test_what_was_changed_by_hand_is_shown_as_drift_and_put_right(api):
    ask(api, "apply", an("Flag", **FLAG))
    api.patch("/api/v1/flags/ai-summaries", json={"description": "by hand", "deny": ["user-13"], "actor": "bob"})

    drifted = ask(api, "plan", an("Flag", **FLAG))
    ask(api, "apply", an("Flag", **FLAG))

    flag = api.get("/api/v1/flags/ai-summaries").json
    assert fields(drifted) == [("description", "drift")]
    assert drifted.json["changes"][0]["fields"][0] | {"cause": ""} == {
        "field": "description",
        "applied": "Summaries",
        "live": "by hand",
        "wanted": "Summaries",
        "cause": "",
    }
    # What no file ever spoke of is people's own.
    assert (flag["description"], flag["deny"]) == ("Summaries", ["user-13"])


def test_a_field_that_is_taken_out_of_the_file_goes_back_to_its_default(api):
    ask(api, "apply", an("Flag", **FLAG))

    ask(api, "apply", an("Flag", key="ai-summaries"))

    assert api.get("/api/v1/flags/ai-summaries").json["description"] == ""


def test_a_rollout_under_way_is_never_changed_and_it_is_said_what_would_have_to_happen(api):
    ask(api, "apply", an("Flag", **FLAG), rollout(start=True))
    changed = rollout(plan={"waves": [{"percent": 100}]}, start=True)

    planned = ask(api, "plan", an("Flag", **FLAG | {"description": "new"}), changed)
    refused = ask(api, "apply", an("Flag", **FLAG | {"description": "new"}), changed)

    assert "is running at 10 % and is never changed under way" in planned.json["changes"][1]["blocked"]
    assert "wavegate rollout roll-back ai-summaries:1" in planned.json["changes"][1]["blocked"]
    assert fields(planned) == [("description", "wanted"), ("plan", "wanted")]
    assert refused.status_code == 409
    assert api.get("/api/v1/flags/ai-summaries").json["description"] == "Summaries"
    assert api.get("/api/v1/rollouts/ai-summaries").json["percent"] == 10


def test_a_draft_is_replaced(api):
    ask(api, "apply", an("Flag", **FLAG), rollout())
    applied = ask(api, "apply", an("Flag", **FLAG), rollout(plan={"waves": [{"percent": 100}]}))

    newest = api.get("/api/v1/rollouts/ai-summaries").json
    assert actions(applied)[1] == ("Rollout", "ai-summaries", "update")
    assert (newest["id"], newest["state"]) == ("ai-summaries:2", "draft")
    assert api.get("/api/v1/rollouts/ai-summaries:1").json["state"] == "cancelled"


def test_a_draft_that_shall_run_is_started(api):
    ask(api, "apply", an("Flag", **FLAG), rollout())
    applied = ask(api, "apply", an("Flag", **FLAG), rollout(start=True))

    assert actions(applied)[1] == ("Rollout", "ai-summaries", "start")
    assert api.get("/api/v1/rollouts/ai-summaries").json["state"] == "running"


def test_a_rollout_that_was_rolled_back_is_not_begun_again_until_its_document_changes(api):
    ask(api, "apply", an("Flag", **FLAG), rollout(start=True))
    api.post("/api/v1/rollouts/ai-summaries/roll_back", json=ADA)

    same = ask(api, "apply", an("Flag", **FLAG), rollout(start=True))
    changed = ask(
        api, "apply", an("Flag", **FLAG), rollout(start=True, plan={"waves": [{"percent": 5}, {"percent": 100}]})
    )

    assert actions(same)[1] == ("Rollout", "ai-summaries", "none")
    assert "'ai-summaries:1' is rolled_back" in same.json["changes"][1]["remark"]
    assert actions(changed)[1] == ("Rollout", "ai-summaries", "create")
    assert api.get("/api/v1/rollouts/ai-summaries").json["percent"] == 5


def test_segments_templates_flags_and_rollouts_may_come_in_any_order(api):
    nordics = {"attribute": "country", "operator": "in", "value": ["NO", "SE"]}
    documents = [
        rollout(template="careful", plan=None) | {"spec": {"flag": "ai-summaries", "template": "careful"}},
        an("Flag", **FLAG | {"prerequisites": [{"flag": "answers", "variants": ["on"]}]}),
        an("Flag", key="answers"),
        an("PlanTemplate", name="careful", plan=PLAN),
        an("Segment", key="nordics", condition=nordics),
    ]

    applied = ask(api, "apply", *documents)
    again = ask(api, "plan", *documents)

    assert [kind for kind, _, _ in actions(applied)] == ["Segment", "PlanTemplate", "Flag", "Flag", "Rollout"]
    assert {action for _, _, action in actions(again)} == {"none"}
    assert api.get("/api/v1/rollouts/ai-summaries").json["template"] == "careful@1"


def test_a_newer_template_changes_no_rollout(api):
    def careful(percent):
        return an("PlanTemplate", name="careful", plan={"waves": [{"percent": percent}, {"percent": 100}]})

    wanted = {"apiVersion": "wavegate/v1", "kind": "Rollout"}
    wanted["spec"] = {"flag": "ai-summaries", "template": "careful", "start": True}
    ask(api, "apply", an("Flag", **FLAG), careful(10), wanted)

    applied = ask(api, "apply", an("Flag", **FLAG), careful(5), wanted)

    assert [action for _, _, action in actions(applied)] == ["update", "none", "none"]
    assert api.get("/api/v1/rollouts/ai-summaries").json["percent"] == 10


def test_only_with_prune_is_anything_archived_and_only_what_came_from_the_same_files(api):
    ask(api, "apply", an("Flag", key="mine"), an("Flag", key="gone"))
    ask(api, "apply", an("Flag", key="theirs"), collection="another-team")
    api.post("/api/v1/flags", json={"key": "by-hand"})

    kept = ask(api, "apply", an("Flag", key="mine"))
    planned = ask(api, "plan", an("Flag", key="mine"), prune=True)
    pruned = ask(api, "apply", an("Flag", key="mine"), prune=True)

    assert actions(kept) == [("Flag", "mine", "none")]
    assert actions(planned) == actions(pruned) == [("Flag", "mine", "none"), ("Flag", "gone", "archive")]
    assert [flag["key"] for flag in api.get("/api/v1/flags").json["items"]] == ["by-hand", "mine", "theirs"]


def test_a_running_rollout_is_no_victim_of_pruning(api):
    ask(api, "apply", an("Flag", **FLAG), rollout(start=True))

    refused = ask(api, "apply", prune=True)

    assert refused.status_code == 409
    assert "has not ended" in refused.json["detail"] or "under way" in refused.json["detail"]
    assert api.get("/api/v1/rollouts/ai-summaries").json["state"] == "running"


def test_the_export_of_an_environment_makes_the_same_again(api, tmp_path):
    nordics = {"attribute": "country", "operator": "in", "value": ["NO", "SE"]}
    ask(
        api,
        "apply",
        an("Segment", key="nordics", condition=nordics),
        an("PlanTemplate", name="careful", plan=PLAN),
        an("Flag", **FLAG | {"allow": {"on": ["ada"]}}),
        rollout(start=True),
    )
    exported = api.get("/api/v1/configuration").json["documents"]

    (tmp_path / "other").mkdir()
    with control_plane.world(tmp_path / "other") as other:
        elsewhere = control_plane.client(other.services)
        ask(elsewhere, "apply", *exported)

        assert elsewhere.get("/api/v1/configuration").json["documents"] == exported
    assert {action for _, _, action in actions(ask(api, "plan", *exported))} == {"none"}


STAGING = an("Environment", name="staging", description="Where we try things")


def test_an_environment_and_what_is_in_it_are_applied_together(api):
    inside = an("Flag", **FLAG) | {"environment": "staging"}

    planned = ask(api, "plan", inside, STAGING)
    names = [each["name"] for each in api.get("/api/v1/environments").json["items"]]
    applied = ask(api, "apply", inside, STAGING)
    again = ask(api, "plan", inside, STAGING)

    expected = [("Environment", "staging", "create"), ("Flag", "ai-summaries", "create")]
    assert (actions(planned), names, actions(applied)) == (expected, [], expected)
    assert {action for _, _, action in actions(again)} == {"none"}
    assert api.get("/api/v1/flags/ai-summaries?environment=staging").status_code == 200
    exported = api.get("/api/v1/configuration?environment=staging").json["documents"]
    assert exported[0] == STAGING
    assert [(each["kind"], each["environment"]) for each in exported[1:]] == [("Flag", "staging")]


def test_an_environment_that_was_described_by_hand_is_shown_as_drift(api, world):
    ask(api, "apply", STAGING)
    change_environment(world.services, "staging", description="by hand", by=person("grace"))

    planned = ask(api, "plan", STAGING)
    ask(api, "apply", STAGING)

    assert fields(planned) == [("description", "drift")]
    described = {each["name"]: each["description"] for each in api.get("/api/v1/environments").json["items"]}
    assert described["staging"] == "Where we try things"
    assert [each["action"] for each in api.get("/api/v1/audit?subject=staging").json["items"]][:2] == [
        "environment.change",
        "environment.change",
    ]


def test_an_environment_is_never_removed_and_is_in_none(api):
    ask(api, "apply", STAGING)

    pruned = ask(api, "apply", prune=True)
    misplaced = ask(api, "plan", STAGING | {"environment": "production"})

    assert "never removed" in pruned.json["changes"][0]["remark"]
    assert {each["name"] for each in api.get("/api/v1/environments").json["items"]} == {"staging"}
    assert misplaced.status_code == 422
    assert misplaced.json["errors"][0]["field"] == "documents[0].environment"


def test_what_was_planned_is_what_is_applied_or_nothing_is(api):
    fingerprint = ask(api, "plan", an("Flag", **FLAG)).json["fingerprint"]
    api.post("/api/v1/flags", json={"key": "ai-summaries"})

    refused = ask(api, "apply", an("Flag", **FLAG), fingerprint=fingerprint)
    again = ask(api, "plan", an("Flag", **FLAG)).json["fingerprint"]

    assert (refused.status_code, "plan again" in refused.json["detail"]) == (409, True)
    assert ask(api, "apply", an("Flag", **FLAG), fingerprint=again).json["applied"] is True


@pytest.mark.parametrize(
    ("documents", "field"),
    [
        ([{"kind": "Flag", "spec": {"key": "f"}}], "documents[0].apiVersion"),
        ([an("Flag", key="f"), an("Flag", key="f")], "documents[1]"),
        ([an("Flag", key="f", colour="blue")], "documents[0].spec.colour"),
        (
            [an("Rollout", flag="f", plan={"waves": [{"percent": 50}, {"percent": 25}]})],
            "documents[0].spec.plan.waves[1].percent",
        ),
        ([an("Rollout", flag="f", plan={"gates": [{"type": "hope"}]})], "documents[0].spec.plan.gates[0].type"),
        ([an("Colour", key="f")], "documents[0].kind"),
        ([{"apiVersion": "wavegate/v1", "spec": {}}], "documents[0].kind"),
    ],
)
def test_a_document_that_makes_no_sense_is_refused_by_field(api, documents, field):
    refused = ask(api, "plan", *documents)

    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, field)
