"""Reports as Alertmanager posts them (version 4 of the form, with all the fields that it sends)."""

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
