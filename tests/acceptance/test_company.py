"""From discovery to scale in real time: one feature goes all the way, another dies at its pilot."""

import re

import pytest

from support.company import PEOPLE, answers, company, summaries

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("acceptance"), pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The story, played once: who ran it, the documents by feature and stage, what was refused, the portfolio."""
    documents = {}

    def keep(key, stage, text):
        documents[key, stage] = text

    with company(tmp_path_factory.mktemp("company")) as ours:
        refused = summaries(ours, keep)
        portfolio = answers(ours, keep)
        yield ours, documents, refused, portfolio


def test_the_feature_that_skips_nothing_reaches_everybody(told):
    ours, documents, _, _ = told

    rollout = ours.api.rollout("ai-summaries")

    assert (rollout["state"], rollout["percent"]) == ("completed", 100)
    assert set(ours.ask("ai-summaries", "somebody-else")) == {"on"}
    passport = ours.api.passport("ai-summaries")["passport"]
    assert [each["outcome"] for each in passport["decisions"]] == ["go"] * 4
    assert {each["by"] for each in passport["decisions"]} == {"mia"}
    assert [stage for key, stage in documents if key == "ai-summaries"] == [
        "discovery", "proof_of_concept", "pilot", "production_ready", "scale", "report",
    ]  # fmt: skip


@pytest.mark.parametrize("stage", ["discovery", "proof_of_concept", "pilot", "production_ready"])
def test_every_skip_is_refused_in_every_stage_on_every_way_in(told, stage):
    _, _, refused, _ = told

    *ways, early, skipped = (" ".join(answer.split()) for answer in refused[stage])

    for answer in ways:
        assert f"is in {stage}, and percentages of users are for scale" in answer
    assert f"cannot leave {stage}, which asks for more" in early
    # From production readiness scale is the next stage: no skip, but as early.
    assert ("cannot leave" if stage == "production_ready" else "no stage is skipped") in skipped


def test_four_people_are_no_pilot(told):
    _, _, refused, _ = told

    assert "names 4 people" in refused["4 people"][0]


def test_the_way_back_was_drilled_on_real_apps(told):
    ours, documents, _, _ = told

    (entry,) = [each for each in ours.wavegate("audit", "list") if each["action"] == "drill.pass"]

    assert entry["subject"] == "ai-summaries"
    assert "green: drilled on" in documents["ai-summaries", "production_ready"]


def test_who_used_the_pilot_was_counted_without_naming_anybody(told):
    _, documents, _, _ = told

    pilot = documents["ai-summaries", "pilot"]

    assert re.search(r"\d+ people used it", pilot)
    assert not any(person in documents["ai-summaries", "report"] for person in PEOPLE)
    assert "green: asked for by: desk" in documents["ai-summaries", "production_ready"]


def test_the_report_shows_each_wave_its_gates_and_who_signed(told):
    _, documents, _, _ = told

    report = documents["ai-summaries", "report"]

    assert "| complete (gates_passed) by its gates |" in report
    assert "- limit:" in report
    assert "go: production_ready to scale" in report


def test_the_feature_that_dies_keeps_its_reason_and_serves_nobody(told):
    ours, documents, _, portfolio = told

    shown = ours.api.passport("ai-answers")["passport"]

    assert (shown["stage"], shown["has_ended"]) == ("pilot", True)
    assert "people went back to searching" in shown["decisions"][-1]["reason"]
    assert ours.api.flag("ai-answers")["pilot"] is None
    assert "people went back to searching" in documents["ai-answers", "scale"]
    assert "the true rate may still be" in documents["ai-answers", "pilot"]
    ended = {each["stage"]: each["ended"] for each in portfolio["stages"]}
    assert ended["pilot"] == 1
    assert {each["flag"]: each["stage"] for each in portfolio["features"]} == {
        "ai-summaries": "scale",
        "ai-answers": "pilot",
    }
