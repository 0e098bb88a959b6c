"""A real Alertmanager, a real controller: an alert takes a rollout back, once, and its end moves nothing."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import requests
from click.testing import CliRunner

from support.alertmanager import alertmanager
from support.live_controller import live_controller
from support.waiting import wait_until
from wavegate_controller.cli import main
from wavegate_controller.remote import RemoteController


def fire(url, *, until):
    alert = {
        "labels": {"alertname": "ErrorRateHigh", "wavegate_flag": "ai-summaries"},
        "annotations": {"summary": "Error rate is 3.7%"},
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": until.isoformat(),
    }
    requests.post(f"{url}/api/v2/alerts", json=[alert], timeout=5).raise_for_status()


def reports(url):
    metrics = requests.get(f"{url}/metrics", timeout=5).text
    return float(re.search(r'^alertmanager_notifications_total{integration="webhook"} (\S+)', metrics, re.MULTILINE)[1])


@pytest.mark.slow
def test_what_alertmanager_repeats_acts_once_and_what_it_resolves_moves_nothing(tmp_path):
    (tmp_path / "alertmanager").mkdir()
    with (
        live_controller(tmp_path) as url,
        alertmanager(tmp_path, f"{url}/api/v1/hooks/alertmanager") as reporting,
    ):
        controller = RemoteController(url)
        controller.create_flag({"key": "ai-summaries"})
        controller.create_rollout({"flag": "ai-summaries"}, actor="ada")
        controller.act("ai-summaries", "start", actor="ada")
        fire(reporting, until=datetime.now(UTC) + timedelta(hours=1))
        wait_until(lambda: controller.rollout("ai-summaries")["state"] == "rolled_back")
        controller.act("ai-summaries", "restart", actor="ada", comment="it is another service that fails")
        sent = reports(reporting)
        wait_until(lambda: reports(reporting) >= sent + 2, what="another report of the same alert")
        seen = controller.rollout("ai-summaries")["version"]
        fire(reporting, until=datetime.now(UTC))
        wait_until(lambda: len(list(controller.pages("alerts"))) == 2, what="the end of the alert")
        after = controller.rollout("ai-summaries")
        alerts = list(controller.pages("alerts"))
        shown = CliRunner(env={"WAVEGATE_URL": url, "COLUMNS": "160"}).invoke(main, ["alert", "list"]).output
        acts = [each["action"] for each in controller.audit(subject="ai-summaries:1")]

    assert [each["outcome"] for each in alerts] == ["resolved", "rolled_back"]
    assert (after["state"], after["version"]) == ("running", seen)
    assert "rolled_back" in shown
    assert acts.count("rollout.roll_back") == 1
