"""Rows to domain values and back, written out: the database's words are chosen here, not by the shape of a class."""

import json
import struct
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

from sqlalchemy import RowMapping

from wavegate.evaluation import Generation
from wavegate_controller.documents import PlanDocument, parse, plan_to_document
from wavegate_controller.documents.freeze import (
    FreezeWindowDocument,
    freeze_window_to_document,
    freeze_windows_to_domain,
)
from wavegate_controller.documents.targeting import (
    condition_to_document,
    condition_to_domain,
    targeting_to_document,
    targeting_to_domain,
)
from wavegate_controller.domain.alerting import Alert, AlertAction, AlertOutcome, AlertRecord
from wavegate_controller.domain.audit import Entry as AuditEntry
from wavegate_controller.domain.audit import Note, canonical
from wavegate_controller.domain.catalog import Calendar, Segment, Template
from wavegate_controller.domain.circumstances import Circumstances
from wavegate_controller.domain.decision import DecisionReason
from wavegate_controller.domain.environment import Environment
from wavegate_controller.domain.flag import Flag, Stop
from wavegate_controller.domain.freeze import Frozen
from wavegate_controller.domain.guardrail import Entry, decode, encode
from wavegate_controller.domain.measurement import (
    Broken,
    BrokenReason,
    Counts,
    Cursor,
    Feedback,
    Judgement,
    Measurement,
    NoData,
    NoDataReason,
    Reading,
    Value,
)
from wavegate_controller.domain.notification import (
    Channel,
    ChannelKind,
    Delivery,
    DeliveryState,
    Message,
    Severity,
)
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.domain.record import DecisionRecord
from wavegate_controller.domain.rollout import PauseReason, Pin, Rollout, Signature, State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.domain.verdict import VerdictKind
from wavegate_controller.store.sealing import Unreadable, Vault

Columns = dict[str, Any]

#: The kind of a measurement that gates compare.
COUNTS: Final = "counts"


def environment_to_row(environment: Environment) -> Columns:
    """The columns of an environment."""
    return {
        "name": environment.name,
        "description": environment.description,
        "created_at": environment.created_at,
        "dry_run": environment.dry_run,
    }


def environment_from_row(row: RowMapping) -> Environment:
    """The environment of these columns."""
    return Environment(
        name=row["name"], description=row["description"], created_at=row["created_at"], dry_run=row["dry_run"]
    )


def flag_to_row(flag: Flag) -> Columns:
    """The columns of a flag."""
    targeting = targeting_to_document(flag, whole=True)
    return {
        "environment": flag.environment,
        "key": flag.key,
        "description": flag.description,
        "enabled": flag.enabled,
        "variants": dict(flag.variants),
        "default_variant": flag.default_variant,
        "salt": flag.salt,
        "bucket_by": flag.bucket_by,
        "generation": flag.generation.value,
        "created_at": flag.created_at,
        "updated_at": flag.updated_at,
        "version": flag.version,
        "prerequisites": targeting.pop("prerequisites") or None,
        "targeting": {name: value for name, value in targeting.items() if value} or None,
        "stopped": flag.stopped
        and {"by": flag.stopped.by, "at": flag.stopped.at.isoformat(), "reason": flag.stopped.reason},
        "archived_at": flag.archived_at,
    }


def flag_from_row(row: RowMapping) -> Flag:
    """The flag of these columns."""
    stopped, targeting = row["stopped"], row["targeting"] or {}
    if row["prerequisites"]:
        targeting = targeting | {"prerequisites": row["prerequisites"]}
    served_by_name = (
        targeting_to_domain(
            targeting, variants=row["variants"], default_variant=row["default_variant"], now=row["updated_at"]
        )
        if targeting
        else {}
    )
    return Flag(
        environment=row["environment"],
        key=row["key"],
        description=row["description"],
        enabled=row["enabled"],
        variants=row["variants"],
        default_variant=row["default_variant"],
        salt=row["salt"],
        bucket_by=row["bucket_by"],
        generation=Generation(row["generation"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        version=row["version"],
        stopped=stopped and Stop(by=stopped["by"], at=datetime.fromisoformat(stopped["at"]), reason=stopped["reason"]),
        archived_at=row["archived_at"],
        **served_by_name,
    )


def segment_to_row(segment: Segment) -> Columns:
    """The columns of a segment."""
    return {
        "environment": segment.environment,
        "key": segment.key,
        "description": segment.description,
        "condition": condition_to_document(segment.condition),
        "created_at": segment.created_at,
        "updated_at": segment.updated_at,
        "version": segment.version,
    }


def segment_from_row(row: RowMapping) -> Segment:
    """The segment of these columns."""
    return Segment(**{**row, "condition": condition_to_domain("condition", row["condition"])})


def template_to_row(template: Template) -> Columns:
    """The columns of one version of a template."""
    return {
        "environment": template.environment,
        "name": template.name,
        "version": template.version,
        "description": template.description,
        "plan": plan_to_document(template.plan),
        "created_by": template.created_by,
        "created_at": template.created_at,
    }


def template_from_row(row: RowMapping) -> Template:
    """The template of these columns."""
    return Template(**{**row, "plan": parse(PlanDocument, row["plan"]).to_domain()})


def calendar_to_row(calendar: Calendar) -> Columns:
    """The columns of a calendar."""
    return {
        "environment": calendar.environment,
        "freeze_windows": [freeze_window_to_document(each) for each in calendar.windows],
        "updated_by": calendar.updated_by,
        "updated_at": calendar.updated_at,
        "version": calendar.version,
    }


def calendar_from_row(row: RowMapping) -> Calendar:
    """The calendar of these columns."""
    windows = [parse(FreezeWindowDocument, each) for each in row["freeze_windows"]]
    return Calendar(
        environment=row["environment"],
        windows=freeze_windows_to_domain(windows, "freeze_windows"),
        updated_by=row["updated_by"],
        updated_at=row["updated_at"],
        version=row["version"],
    )


def rollout_to_row(rollout: Rollout) -> Columns:
    """The columns of a rollout; the plan as the document that gives it back."""
    return {
        "id": rollout.id,
        "environment": rollout.environment,
        "flag_key": rollout.flag_key,
        "stable": rollout.stable,
        "candidate": rollout.candidate,
        "plan": plan_to_document(rollout.plan),
        "created_by": rollout.created_by,
        "created_at": rollout.created_at,
        "updated_at": rollout.updated_at,
        "state": rollout.state.value,
        "pause_reason": None if rollout.pause_reason is None else rollout.pause_reason.value,
        "wave": rollout.wave,
        "started_at": rollout.started_at,
        "wave_since": rollout.wave_since,
        "evidence_since": rollout.evidence_since,
        "next_look_at": rollout.next_look_at,
        "version": rollout.version,
        "approvals": [
            {"by": each.by, "at": each.at.isoformat(), "comment": each.comment} for each in rollout.approvals
        ],
        "pin": _pin_to_document(rollout.pin),
        "final_bake_since": rollout.final_bake_since,
        "unwatched": rollout.unwatched.total_seconds(),
        "template": rollout.template,
    }


def rollout_from_row(row: RowMapping) -> Rollout:
    """The rollout of these columns."""
    return Rollout(
        id=row["id"],
        environment=row["environment"],
        flag_key=row["flag_key"],
        stable=row["stable"],
        candidate=row["candidate"],
        plan=parse(PlanDocument, row["plan"]).to_domain(),
        created_by=row["created_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        state=State(row["state"]),
        pause_reason=None if row["pause_reason"] is None else PauseReason(row["pause_reason"]),
        wave=row["wave"],
        started_at=row["started_at"],
        wave_since=row["wave_since"],
        evidence_since=row["evidence_since"],
        next_look_at=row["next_look_at"],
        version=row["version"],
        approvals=tuple(
            Signature(by=each["by"], at=datetime.fromisoformat(each["at"]), comment=each["comment"])
            for each in row["approvals"]
        ),
        pin=_pin_from_document(row["pin"]),
        final_bake_since=row["final_bake_since"],
        unwatched=timedelta(seconds=row["unwatched"]),
        template=row["template"],
    )


def _pin_to_document(pin: Pin | None) -> Columns | None:
    if pin is None:
        return None
    return {"by": pin.by, "at": pin.at.isoformat(), "reason": pin.reason, "breached_at": _to_text(pin.breached_at)}


def _pin_from_document(document: Mapping[str, Any] | None) -> Pin | None:
    if document is None:
        return None
    return Pin(
        by=document["by"],
        at=datetime.fromisoformat(document["at"]),
        reason=document["reason"],
        breached_at=_from_text(document["breached_at"]),
    )


def _to_text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _from_text(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def measurement_to_row(rollout_id: str, measurement: Measurement) -> Columns:
    """The columns of a measurement: which kind of answer, and the answer as JSON."""
    kind, payload = _answer_to_columns(measurement.answer, measurement.at)
    return {
        "rollout_id": rollout_id,
        "gate": measurement.gate,
        "at": measurement.at,
        "kind": kind,
        "payload": payload,
    }


def measurement_from_row(row: RowMapping) -> Measurement:
    """The measurement of these columns."""
    return Measurement(
        gate=row["gate"],
        at=row["at"],
        query="",
        answer=_answer_from_columns(row["kind"], row["payload"]),
    )


def cursor_to_row(rollout_id: str, cursor: Cursor) -> Columns:
    """The columns of a cursor."""
    return {
        "rollout_id": rollout_id,
        "read_at": cursor.read_at,
        "last": _pack(cursor.last),
    }


def cursor_from_row(row: RowMapping) -> Cursor:
    """The cursor of these columns."""
    return Cursor(
        read_at=row["read_at"],
        last=_unpack(row["last"]),
    )


def _pack(last: Mapping[int, tuple[float, float]]) -> bytes:
    """Columns of keys, times and values, little-endian, compressed: all series of an instance share their times."""
    columns = (*last, *(sampled_at for sampled_at, _ in last.values()), *(value for _, value in last.values()))
    return zlib.compress(struct.pack(f"<{len(last)}Q{2 * len(last)}d", *columns), level=1)


def _unpack(packed: bytes) -> Mapping[int, tuple[float, float]]:
    data = zlib.decompress(packed)
    size = len(data) // 24
    columns = struct.unpack(f"<{size}Q{2 * size}d", data)
    return dict(zip(columns[:size], zip(columns[size : 2 * size], columns[2 * size :], strict=True), strict=True))


def decision_to_row(record: DecisionRecord) -> Columns:
    """The columns of a decision, without the id: the database counts it."""
    return {
        "rollout_id": record.rollout_id,
        "at": record.at,
        "actor": record.actor,
        "event": record.event.value,
        "reason": record.reason.value,
        "sentence": record.sentence,
        "comment": record.comment,
        "state_before": record.state_before.value,
        "state": record.state.value,
        "wave": record.wave,
        "weight": record.weight,
        "revision": record.revision,
        "verdicts": [dict(verdict) for verdict in record.verdicts],
        "wave_before": record.wave_before,
        "wave_since": record.wave_since,
        "evidence_since": record.evidence_since,
        "pause_reason_before": None if record.pause_reason_before is None else record.pause_reason_before.value,
        "circumstances": _circumstances_to_document(record),
        "review": record.review,
    }


def decision_from_row(row: RowMapping) -> DecisionRecord:
    """The decision of these columns."""
    return DecisionRecord(
        id=row["id"],
        rollout_id=row["rollout_id"],
        at=row["at"],
        actor=row["actor"],
        event=Event(row["event"]),
        reason=DecisionReason(row["reason"]),
        sentence=row["sentence"],
        comment=row["comment"],
        state_before=State(row["state_before"]),
        state=State(row["state"]),
        wave=row["wave"],
        weight=row["weight"],
        revision=row["revision"],
        verdicts=tuple(row["verdicts"]),
        wave_before=row["wave_before"],
        wave_since=row["wave_since"],
        evidence_since=row["evidence_since"],
        pause_reason_before=None if row["pause_reason_before"] is None else PauseReason(row["pause_reason_before"]),
        review=row["review"],
        **_circumstances_from_document(row["circumstances"] or {}),
    )


def _circumstances_to_document(record: DecisionRecord) -> Columns | None:
    """What a decision was made on beside its evidence; mostly nothing, and then nothing is kept."""
    frozen = record.circumstances.frozen
    document = {
        "frozen": frozen and {"window": frozen.window, "until": frozen.until.isoformat()},
        "waits_for": record.circumstances.waits_for,
        "red_checks": record.circumstances.red_checks,
        "drill": record.circumstances.drill,
        "stopped": record.circumstances.stopped,
        "dry_run": record.circumstances.dry_run,
        "noted": record.circumstances.noted,
        "would": record.would,
        "pin": _pin_to_document(record.pin_before),
        "final_bake_since": _to_text(record.final_bake_since),
        "unwatched": record.unwatched.total_seconds(),
    }
    return {name: value for name, value in document.items() if value} or None


def _circumstances_from_document(document: Mapping[str, Any]) -> dict[str, Any]:
    frozen = document.get("frozen")
    return {
        "pin_before": _pin_from_document(document.get("pin")),
        "final_bake_since": _from_text(document.get("final_bake_since")),
        "unwatched": timedelta(seconds=document.get("unwatched", 0)),
        "would": _event(document.get("would")),
        "circumstances": Circumstances(
            frozen=frozen and Frozen(window=frozen["window"], until=datetime.fromisoformat(frozen["until"])),
            waits_for=document.get("waits_for", ""),
            red_checks=document.get("red_checks", ""),
            drill=document.get("drill", ""),
            stopped=document.get("stopped", False),
            dry_run=document.get("dry_run", False),
            noted=_event(document.get("noted")),
        ),
    }


def _event(word: str | None) -> Event | None:
    return None if word is None else Event(word)


def ruleset_to_row(ruleset: PublishedRuleset) -> Columns:
    """The columns of a revision."""
    return {
        "environment": ruleset.environment,
        "revision": ruleset.revision,
        "body": ruleset.body,
        "etag": ruleset.etag,
        "published_at": ruleset.published_at,
    }


def ruleset_from_row(row: RowMapping) -> PublishedRuleset:
    """The revision of these columns."""
    return PublishedRuleset(
        environment=row["environment"],
        revision=row["revision"],
        body=row["body"],
        etag=row["etag"],
        published_at=row["published_at"],
    )


def audit_to_row(entry: AuditEntry) -> Columns:
    """The columns of an entry."""
    note = entry.note
    documents = {"before": note.before, "after": note.after, "evidence": note.evidence}
    return {
        "sequence": entry.sequence,
        "at": note.at,
        "actor": note.actor,
        "actor_kind": note.actor_kind,
        "action": note.action,
        "subject": note.subject,
        "environment": note.environment,
        "reason": note.reason,
        **{name: None if each is None else canonical(each) for name, each in documents.items()},
        "previous": entry.previous,
        "hash": entry.hash,
    }


def audit_from_row(row: RowMapping) -> AuditEntry:
    """The entry of these columns, whoever wrote them: what we would not have written so comes out as what it is not."""
    return AuditEntry(
        sequence=row["sequence"],
        note=Note(
            at=_text(row["at"]),
            actor=_text(row["actor"]),
            actor_kind=_text(row["actor_kind"]),
            action=_text(row["action"]),
            subject=_text(row["subject"]),
            environment=_text(row["environment"]),
            reason=_text(row["reason"]),
            before=_document(row["before"]),
            after=_document(row["after"]),
            evidence=_document(row["evidence"]),
        ),
        previous=_text(row["previous"]),
        hash=_text(row["hash"]),
    )


def channel_to_row(channel: Channel, vault: Vault) -> Columns:
    """The columns of a channel, its secrets sealed."""
    return {
        "name": channel.name,
        "environment": channel.environment,
        "kind": channel.kind.value,
        "url": vault.seal(channel.url),
        "secret": None if channel.secret is None else vault.seal(channel.secret),
        "shown": channel.shown,
        "actions": list(channel.actions),
        "least": channel.least.value,
        "created_by": channel.created_by,
        "created_at": channel.created_at,
    }


def channel_from_row(row: RowMapping, vault: Vault) -> Channel:
    """The channel of these columns; one whose secrets cannot be read is none the less there."""
    unreadable, url, secret = "", "", None
    try:
        url, secret = vault.open(row["url"]), None if row["secret"] is None else vault.open(row["secret"])
    except Unreadable as why:
        unreadable = str(why)
    return Channel(
        name=row["name"],
        environment=row["environment"],
        kind=ChannelKind(row["kind"]),
        url=url,
        secret=secret,
        unreadable=unreadable,
        shown=row["shown"],
        actions=tuple(row["actions"]),
        least=Severity(row["least"]),
        created_by=row["created_by"],
        created_at=row["created_at"],
    )


def message_to_columns(message: Message) -> Columns:
    """What is kept of a message, for whichever channel."""
    return {
        "environment": message.environment,
        "line": message.line,
        "message": {
            "at": message.at.isoformat(),
            "action": message.action,
            "subject": message.subject,
            "flag": message.flag,
            "severity": message.severity.value,
            "actor": message.actor,
            "title": message.title,
            "text": message.text,
            "offers": list(message.offers),
        },
    }


def delivery_from_row(row: RowMapping) -> Delivery:
    """The delivery of these columns."""
    said = row["message"]
    return Delivery(
        id=row["id"],
        message_id=row["message_id"],
        channel=row["channel"],
        message=Message(
            **said
            | {
                "at": datetime.fromisoformat(said["at"]),
                "environment": row["environment"],
                "severity": Severity(said["severity"]),
                "offers": tuple(said["offers"]),
            }
        ),
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        created_at=row["created_at"],
        next_attempt_at=row["next_attempt_at"],
        claimed_until=row["claimed_until"],
        delivered_at=row["delivered_at"],
        error=row["error"],
    )


def alert_to_row(record: AlertRecord) -> Columns:
    """The columns of an alert, without the id: the database counts it."""
    return {
        "fingerprint": record.alert.fingerprint,
        "starts_at": record.alert.starts_at,
        "is_firing": record.alert.is_firing,
        "labels": dict(record.alert.labels),
        "summary": record.alert.summary,
        "received_at": record.received_at,
        "environment": record.environment,
        "flag": record.flag,
        "action": record.action and record.action.value,
        "outcome": record.outcome.value,
        "detail": record.detail,
    }


def alert_from_row(row: RowMapping) -> AlertRecord:
    """The alert of these columns."""
    return AlertRecord(
        id=row["id"],
        alert=Alert(
            fingerprint=row["fingerprint"],
            starts_at=row["starts_at"],
            is_firing=row["is_firing"],
            labels=row["labels"],
            summary=row["summary"],
        ),
        received_at=row["received_at"],
        environment=row["environment"],
        flag=row["flag"],
        action=row["action"] and AlertAction(row["action"]),
        outcome=AlertOutcome(row["outcome"]),
        detail=row["detail"],
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else f"not text: {value!r}"


def _document(text: Any) -> Any:
    if text is None:
        return None
    try:
        document = json.loads(text)
        if text == canonical(document) and document is not None:
            return document
    except (TypeError, ValueError, RecursionError):
        pass
    return f"not as it was written: {text!r}"


def _answer_to_columns(answer: Reading, at: datetime) -> tuple[str, Columns]:
    match answer:
        case Value():
            return "value", {"value": answer.value}
        case NoData():
            return "no_data", {"reason": answer.reason.value}
        case Broken():
            return "broken", {"reason": answer.reason.value, "detail": answer.detail}
        case Counts():
            newest = answer.newest_sample_at
            entry = Entry(
                at=at,
                wave=answer.wave,
                wave_since=answer.wave_since,
                increments=(answer.increment,),
                exposure=answer.exposure,
            )
            return COUNTS, {
                "entry": b64encode(encode(entry)).decode(),
                "newest_sample_at": None if newest is None else newest.isoformat(),
            }
        case Feedback():
            newest = answer.newest_sample_at
            return "feedback", {
                "requests": answer.requests,
                "thumbs_up": answer.thumbs_up,
                "thumbs_down": answer.thumbs_down,
                "newest_sample_at": None if newest is None else newest.isoformat(),
            }
        case Judgement():
            return "judgement", {
                "says": answer.says.value,
                "by": answer.by,
                "detail": answer.detail,
                "value": answer.value,
                "limit": answer.limit,
            }
        case _:
            assert_never(answer)


def _answer_from_columns(kind: str, payload: Mapping[str, Any]) -> Reading:
    match kind:
        case "value":
            return Value(value=payload["value"])
        case "no_data":
            return NoData(reason=NoDataReason(payload["reason"]))
        case "broken":
            return Broken(reason=BrokenReason(payload["reason"]), detail=payload["detail"])
        case "counts":
            newest, entry = payload["newest_sample_at"], decode(b64decode(payload["entry"]))
            return Counts(
                increment=entry.increments[0],
                wave=entry.wave,
                wave_since=entry.wave_since,
                newest_sample_at=None if newest is None else datetime.fromisoformat(newest),
                exposure=entry.exposure,
            )
        case "feedback":
            newest = payload["newest_sample_at"]
            return Feedback(
                requests=payload["requests"],
                thumbs_up=payload["thumbs_up"],
                thumbs_down=payload["thumbs_down"],
                newest_sample_at=None if newest is None else datetime.fromisoformat(newest),
            )
        case "judgement":
            return Judgement(**{**payload, "says": VerdictKind(payload["says"])})
        case _:
            raise ValueError(f"measurement of unknown kind {kind!r}: written by a newer version?")
