"""What Alertmanager posts, and what it is answered. https://prometheus.io/docs/alerting/latest/configuration/#webhook_config"""

from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from wavegate_controller.documents.reading import Document, examples
from wavegate_controller.domain.alerting import Alert, AlertRecord

#: Every version of Alertmanager adds fields; what is not read here is not looked at.
_OPEN = ConfigDict(extra="ignore", strict=False)
_EXAMPLE = {
    "version": "4",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "ErrorRateHigh", "wavegate_flag": "ai-summaries", "severity": "critical"},
            "annotations": {"summary": "Error rate is 3.7%"},
            "startsAt": "2026-11-23T01:08:45.47Z",
            "fingerprint": "dc8449e988612c64",
        }
    ],
}


class AlertDocument(Document):
    """One alert."""

    model_config = _OPEN

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = Field(default_factory=dict)
    starts_at: AwareDatetime = Field(alias="startsAt")
    fingerprint: str = Field(min_length=1, max_length=200)

    def to_domain(self) -> Alert:
        """The alert."""
        said = (self.annotations.get(name, "") for name in ("summary", "description", "message"))
        return Alert(
            fingerprint=self.fingerprint,
            starts_at=self.starts_at,
            is_firing=self.status == "firing",
            labels=self.labels,
            summary=" ".join(next(filter(None, said), "").split())[:300],
        )


class AlertmanagerDocument(Document):
    """What Alertmanager posts: the alerts of one group."""

    model_config = examples(_EXAMPLE) | _OPEN

    version: Literal["4"] = Field(description="Of the form; Alertmanager has had no other one for years.")
    alerts: list[AlertDocument]


def alert_to_document(record: AlertRecord, *, is_new: bool = True) -> dict[str, Any]:
    """An alert, and what came of it."""
    return {
        "fingerprint": record.alert.fingerprint,
        "starts_at": _time(record.alert.starts_at),
        "status": "firing" if record.alert.is_firing else "resolved",
        "alert": record.alert.name,
        "environment": record.environment,
        "flag": record.flag,
        "action": record.action and record.action.value,
        "outcome": record.outcome.value,
        "detail": record.detail,
        "received_at": _time(record.received_at),
        "is_new": is_new,
    }


def _time(time: datetime) -> str:
    return time.isoformat()
