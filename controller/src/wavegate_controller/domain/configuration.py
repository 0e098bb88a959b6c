"""What applying a configuration would change, and what of it is not possible now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from wavegate_controller.domain.access import EVERYWHERE
from wavegate_controller.domain.difference import FieldChange
from wavegate_controller.domain.foresight.findings import Finding


class Action(StrEnum):
    """What becomes of an object."""

    #: It is as it is wanted.
    NONE = "none"
    #: It is not there.
    CREATE = "create"
    #: Some of its fields differ.
    UPDATE = "update"
    #: It is a draft as it is wanted, and wanted to run.
    START = "start"
    #: It was applied from here and is wanted no more.
    ARCHIVE = "archive"


@dataclass(frozen=True, kw_only=True, slots=True)
class Name:
    """Which object; `environment` is `*` for one that is in none."""

    kind: str
    environment: str
    name: str

    def __str__(self) -> str:
        where = "" if self.environment == EVERYWHERE else f"{self.environment}/"
        return f"{self.kind} {where}{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """What was applied last of an object.

    Attributes:
        collection: whose files it came from; others' are left alone when objects are pruned.
        document: its fields as they were said.
    """

    collection: str
    object: Name
    document: Mapping[str, Any]
    applied_at: datetime
    applied_by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What would be done to one object.

    Attributes:
        fields: what differs.
        blocked: why it is not possible now, and what would have to happen; None where it is possible.
        remark: what people should know although nothing needs to be done; empty for nothing.
        findings: of the lint, in the gates of a rollout that is made or started.
    """

    object: Name
    action: Action
    fields: tuple[FieldChange, ...] = field(default=())
    blocked: str | None = None
    remark: str = ""
    findings: Sequence[Finding] = ()
