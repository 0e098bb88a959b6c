"""Metrics, alerts, dashboard and log lines: what is written of them is what the code has."""

import ast
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from wavegate_controller.delivery import PostedCounts
from wavegate_controller.documents.counts import BOUNDS
from wavegate_controller.telemetry import PrometheusRecorder

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "controller" / "src" / "wavegate_controller"
PROMETHEUS = ROOT / "deploy" / "prometheus"
#: What Prometheus makes of a metric's kind.
SERIES = {
    "counter": ("_total",),
    "info": ("_info",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}


def recorder() -> PrometheusRecorder:
    """As `bootstrap` makes it."""
    made = PrometheusRecorder()
    made.show_connected(lambda: {"production": 3})
    made.show(PostedCounts().totals, bounds=BOUNDS)
    return made


def families():
    return {family.name: family for family in recorder()._registry.collect()}


def series() -> set[str]:
    """Names that a query may have; `up` is Prometheus' own."""
    return {name + suffix for name, family in families().items() for suffix in SERIES[family.type]} | {"up"}


def names_in(promql: str) -> set[str]:
    """Metrics of a query of ours: all of them have a prefix."""
    return set(re.findall(r"\b(?:up\b|(?:wavegate|process|python)_\w+)", promql))


def expressions_of_the_dashboard() -> list[str]:
    document = json.loads((ROOT / "deploy" / "grafana" / "wavegate.json").read_text(encoding="utf-8"))
    variables = [each["definition"] for each in document["templating"]["list"] if each["type"] == "query"]
    return [target["expr"] for panel in document["panels"] for target in panel.get("targets", ())] + variables


def rules() -> list[dict]:
    (group,) = yaml.safe_load((PROMETHEUS / "rules.yml").read_text(encoding="utf-8"))["groups"]
    return group["rules"]


def promtool() -> str:
    found = shutil.which("promtool") or shutil.which(str(ROOT / ".tools/prometheus/usr/bin/promtool"))
    if found is None:
        pytest.skip("there is no promtool beside this Prometheus")
    return found


def test_every_metric_of_the_controller_is_on_its_page_and_no_other():
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    table = page.partition("## What it does")[2].partition("## What apps posted")[0]
    posted = page.partition("## What apps posted")[2].partition("## Alerts")[0]
    described = {
        name: (kind, tuple(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", table, re.MULTILINE)
    }

    exported = {
        name + ("_total" if family.type == "counter" else "_info" if family.type == "info" else ""): family.type
        for name, family in families().items()
        if name.startswith("wavegate_")
    }
    assert {name: kind for name, (kind, _) in described.items()} | {
        name: exported[name] for name in re.findall(r"`(wavegate_\w+)`", posted)
    } == {name: "gauge" if kind == "info" else kind for name, kind in exported.items()}


def test_labels_on_the_page_are_those_of_the_metrics():
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    ours = {
        name: metric._labelnames
        for metric in vars(recorder()).values()
        if (name := getattr(metric, "_name", None)) is not None
    }

    for name, labels in re.findall(
        r"^\| `(wavegate_controller_\w+?)(?:_total)?` \| \w+ \|([^|]*)\|", page, re.MULTILINE
    ):
        if name in ours:
            assert tuple(re.findall(r"`(\w+)`", labels)) == ours[name], name


def test_promtool_has_nothing_to_say_about_the_exposition():
    checked = subprocess.run(
        [promtool(), "check", "metrics"], input=recorder().exposition(), capture_output=True, check=False
    )

    # Names of the client library itself are no choice of ours.
    said = [line for line in (checked.stdout + checked.stderr).decode().splitlines() if "wavegate" in line]
    assert said == []
    assert checked.returncode in {0, 3}, checked.stderr  # 3: it has advice


def test_rules_hold_and_do_what_their_tests_say():
    for what in ("check", "test"):
        file = "rules.yml" if what == "check" else "rules_test.yml"
        done = subprocess.run(
            [promtool(), what, "rules", PROMETHEUS / file], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_shown_to_fire_and_to_stay_silent():
    tests = yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text(encoding="utf-8"))["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]

    names = {rule["alert"] for rule in rules()}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == names


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_that_there_are_and_is_on_the_page(rule):
    assert names_in(rule["expr"])
    assert names_in(rule["expr"]) <= series()
    assert f"| `{rule['alert']}` |" in (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("expression", expressions_of_the_dashboard())
def test_the_dashboard_asks_for_metrics_that_there_are(expression):
    assert names_in(expression)
    assert names_in(expression) <= series()


def test_every_action_of_the_log_is_on_its_page():
    page = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")

    logged = {action for template in templates() if (action := re.match(r"action=([a-z_]+)(?![a-z_%])", template))}
    written = {action[1] for action in logged if not action.string[action.end() :].startswith("%")}
    assert written == set(re.findall(r"^\| `(\w+)` \| (?:debug|info|warning|error) \|", page, re.MULTILINE))


def test_every_line_of_the_log_begins_with_its_action():
    assert len(templates()) > 25
    assert [each for each in templates() if not each.startswith("action=")] == []


def templates() -> list[str]:
    """The first constant text of each call of a logger of ours."""
    return [
        next(each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str))
        for path in SOURCE.rglob("*.py")
        if "_migrations" not in path.parts
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "_log"
        and call.func.attr in {"debug", "info", "warning", "error", "exception", "log"}
    ]
