"""docs/gates.md leaves out no field, no reason and no preset, and its examples are accepted."""

import json
import re
from pathlib import Path

import pytest
import yaml

from wavegate_controller.documents import PlanDocument, parse
from wavegate_controller.documents import gates as documents
from wavegate_controller.documents.plans import GuardrailDocument
from wavegate_controller.domain.gates import LookingGate
from wavegate_controller.domain.guardrail import Reason
from wavegate_controller.domain.measurement import BrokenReason, Judgement, NoDataReason
from wavegate_controller.domain.presets import OFFERS
from wavegate_controller.domain.verdict import WARNINGS, GateReason
from wavegate_controller.providers.webhook import read_answer

PAGE = (Path(__file__).parents[2] / "docs" / "gates.md").read_text(encoding="utf-8")
KINDS = {
    "error_rate": documents.ErrorRateGateDocument,
    "value": documents.ValueGateDocument,
    "Gates that compare": documents.ComparingGateDocument,
    "threshold": documents.ThresholdGateDocument,
    "alert": documents.AlertGateDocument,
    "feedback": documents.FeedbackGateDocument,
    "webhook": documents.WebhookGateDocument,
    "manual": documents.ManualGateDocument,
    "Presets": documents.PresetDocument,
    "Silence": documents.SilenceDocument,
}
COMMON = {"type", "name", "on_no_data", "on_cannot_measure", "dry_run"}
LOOKS = set(LookingGate.__dataclass_fields__) - COMMON


def section(title: str) -> str:
    return re.search(rf"^##+ {title}$\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]


def documented(text: str) -> dict[str, str]:
    """Field to its default, from the tables of fields."""
    tables = re.findall(r"^\| (?:field|parameter) \|.*\n\|-.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    return dict(re.findall(r"^\| `(\w+)` \| *([^|]*?) *\|", "".join(tables), re.MULTILINE))


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_every_kind_of_gate_is_documented(kind: str):
    fields = set(KINDS[kind].model_fields)
    if kind not in ("Presets", "Silence"):
        fields -= COMMON | LOOKS
        if kind in ("error_rate", "value"):
            fields -= set(documents.ComparingGateDocument.model_fields)

    assert fields <= set(documented(section(kind)))


def test_the_settings_of_the_guardrail_are_documented_with_their_defaults():
    rows = dict(re.findall(r"^\| `(\w+)` \| *`?([^|`]*?)`? *\|", section("The plan's guardrail"), re.MULTILINE))
    settings = {name: str(field.default).lower() for name, field in GuardrailDocument.model_fields.items()}

    assert {name: rows[name] for name in settings} == settings


def test_what_gates_have_in_common_is_documented_once():
    common = documented(section("What all gates have"))

    assert common.keys() >= COMMON | LOOKS


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("Presets", "Silence")])
def test_the_defaults_of_the_page_are_those_of_the_code(kind: str):
    for name, default in documented(section(kind)).items():
        field = KINDS[kind].model_fields[name]
        said = default.strip("`")
        if said in ("", "none"):
            assert field.is_required() or not field.get_default(call_default_factory=True), name
        elif isinstance(field.default, list):
            assert said == f"[{', '.join(field.default)}]"
        else:
            assert said == str(field.default).lower(), name


@pytest.mark.parametrize("reason", [*GateReason, *Reason, *NoDataReason])
def test_every_reason_of_a_verdict_is_explained(reason: str):
    assert f"`{reason}`" in PAGE


@pytest.mark.parametrize(
    "reason", [BrokenReason.NO_SUCH_ALERT, BrokenReason.ALERT_RULE_FAILS, BrokenReason.NOT_ALLOWED]
)
def test_what_can_break_at_a_gate_is_explained(reason: str):
    assert f"`{reason}`" in PAGE


def test_the_warnings_are_listed():
    listed = re.findall(r"`(\w+)`", re.search(r"### Warnings(.*?)and the\n", PAGE, re.DOTALL)[1])

    assert set(listed) - {"not_enough_data"} == WARNINGS


def test_every_preset_is_documented_on_each_source():
    rows = dict(re.findall(r"^\| `([\w-]+)` \|(.*)\|$", section("Presets"), re.MULTILINE))

    for (name, source), offer in OFFERS.items():
        wavegate, otel = (cell.strip() for cell in f" {rows[name]} ".split(" | "))
        assert {"wavegate": wavegate, "otel": otel}[source], (name, source)
        assert all(f"`{need}`" in {"wavegate": wavegate, "otel": otel}[source] for need in offer.needs)


def test_the_example_plan_has_every_kind_of_gate_and_is_accepted():
    example = re.search(r"```yaml\n# plan.yaml.*?\n(.*?)```", PAGE, re.DOTALL)[1]

    plan = parse(PlanDocument, yaml.safe_load(example)).to_domain()

    assert {type(gate).__name__ for gate in plan.gates} == {
        "ErrorRateGate",
        "ValueGate",
        "ThresholdGate",
        "AlertGate",
        "FeedbackGate",
        "WebhookGate",
        "ManualGate",
    }


def test_the_other_examples_are_accepted():
    error_rate = yaml.safe_load(re.search(r"```yaml\n(- \{type: error_rate.*?)```", PAGE, re.DOTALL)[1])
    silence = yaml.safe_load(re.search(r"```yaml\n(on_no_data.*?)```", PAGE, re.DOTALL)[1])
    answer = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1]

    assert parse(PlanDocument, {"gates": error_rate} | silence).to_domain().on_no_data.after.total_seconds() == 1800
    assert isinstance(read_answer(json.dumps(json.loads(answer)).encode(), host="checks"), Judgement)
