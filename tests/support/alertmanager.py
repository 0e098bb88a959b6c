"""Reports as Alertmanager posts them (version 4 of the form, with all the fields that it sends), and a real one."""

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from support.waiting import wait_until
from wavegate_controller.demo.processes import free_port

_IN_CHECKOUT = Path(__file__).parents[2] / ".tools/alertmanager/usr/bin/prometheus-alertmanager"
FLAG_LABEL = "wavegate_flag"


def an_alert(
    *,
    flag="ai-summaries",
    status="firing",
    starts_at="2026-01-01T11:59:45.47Z",
    fingerprint="dc8449e988612c64",
    summary="Error rate of summaries is 3.7%",
    **labels,
):
    named = {} if flag is None else {FLAG_LABEL: flag}
    return {
        "status": status,
        "labels": {"alertname": "ErrorRateHigh", "instance": "shop-1:9100", "severity": "critical"} | named | labels,
        "annotations": {"summary": summary, "runbook_url": "http://runbooks.example/summaries"},
        "startsAt": starts_at,
        "endsAt": "2026-01-01T12:10:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example:9090/graph?g0.expr=up&g0.tab=1",
        "fingerprint": fingerprint,
    }


def a_report(*alerts):
    firing = any(alert["status"] == "firing" for alert in alerts)
    return {
        "receiver": "wavegate",
        "status": "firing" if firing else "resolved",
        "alerts": list(alerts),
        "groupLabels": {"alertname": "ErrorRateHigh"},
        "commonLabels": {"alertname": "ErrorRateHigh", "severity": "critical"},
        "commonAnnotations": {"runbook_url": "http://runbooks.example/summaries"},
        "externalURL": "http://alertmanager.example:9093",
        "version": "4",
        "groupKey": '{}:{alertname="ErrorRateHigh"}',
        "truncatedAlerts": 0,
    }


def find_alertmanager():
    """A real one: `$WAVEGATE_ALERTMANAGER`, else on PATH, else in this checkout; None where there is none."""
    named = os.environ.get("WAVEGATE_ALERTMANAGER")
    candidates = [named] if named else ["prometheus-alertmanager", "alertmanager", str(_IN_CHECKOUT)]
    return next(filter(None, map(shutil.which, candidates)), None)


@contextmanager
def alertmanager(directory, hook):
    """The URL of a running Alertmanager that reports to the hook, again and again, as fast as it can."""
    binary = find_alertmanager()
    if binary is None:
        pytest.skip("there is no Alertmanager here; scripts/ensure-alertmanager fetches one")
    waits = {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1s"}
    config = {
        "route": {"receiver": "wavegate", "group_by": ["..."], **waits},
        "receivers": [{"name": "wavegate", "webhook_configs": [{"url": hook, "send_resolved": True}]}],
    }
    (directory / "alertmanager.json").write_text(json.dumps(config))  # JSON is YAML
    url = f"http://127.0.0.1:{free_port()}"
    arguments = [
        f"--config.file={directory / 'alertmanager.json'}",
        f"--storage.path={directory / 'alertmanager'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--cluster.listen-address=",
    ]
    with (directory / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen([binary, *arguments], stdout=log, stderr=log, cwd=Path(binary).parents[2])
    try:
        wait_until(lambda: _is_ready(url) or process.poll() is not None, what="Alertmanager's start")
        assert process.poll() is None, (directory / "alertmanager.log").read_text()
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def _is_ready(url):
    try:
        return requests.get(f"{url}/-/ready", timeout=1).ok
    except requests.RequestException:
        return False
