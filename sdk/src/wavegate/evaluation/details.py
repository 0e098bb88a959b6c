"""What an evaluation answers: OpenFeature's reasons, error codes and details."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Reason(StrEnum):
    """Why this value was answered."""

    #: The flag has one answer for everybody.
    STATIC = "STATIC"
    #: Nothing more special applied, so the default variant was answered.
    DEFAULT = "DEFAULT"
    #: A list, a rule or the pilot named this person, and one variant for them.
    TARGETING_MATCH = "TARGETING_MATCH"
    #: A rollout or a rule split its people, and the hash of the key decided.
    SPLIT = "SPLIT"
    #: The answer was remembered from an earlier evaluation.
    CACHED = "CACHED"
    #: The flag is switched off, so the default variant was answered.
    DISABLED = "DISABLED"
    #: Nobody knows why; another provider said so.
    UNKNOWN = "UNKNOWN"
    #: The ruleset is older than the flag allows.
    STALE = "STALE"
    #: The caller's default was answered; the error code says why.
    ERROR = "ERROR"


class ErrorCode(StrEnum):
    """What went wrong when the reason is ERROR."""

    #: No ruleset has arrived yet, from anywhere.
    PROVIDER_NOT_READY = "PROVIDER_NOT_READY"
    #: The ruleset has no flag with this key.
    FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
    #: The flag could not be read.
    PARSE_ERROR = "PARSE_ERROR"
    #: The variant's value is of another type than the caller asked for.
    TYPE_MISMATCH = "TYPE_MISMATCH"
    #: The flag is split between users and the caller did not say which user.
    TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"
    #: The targeting key or an attribute cannot be used, for instance because it is no string.
    INVALID_CONTEXT = "INVALID_CONTEXT"
    #: The provider cannot work at all.
    PROVIDER_FATAL = "PROVIDER_FATAL"
    #: Anything else.
    GENERAL = "GENERAL"


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationDetails:
    """One answer with its grounds.

    `variant` is None exactly when `value` is the caller's default, that is when `reason` is ERROR.
    `decided_by` is the path of what decided, within the flag: `rules[2]`, `pilot`, `rollout.holdout`;
    None when the flag decided nothing. Only those whom `rollout` or `rollout.holdout` decided were
    drawn at random from one crowd, so that their variants can be compared.
    `cohort` is None when there was nothing to bucket by.
    """

    flag_key: str
    value: Any
    variant: str | None
    reason: Reason
    error_code: ErrorCode | None = None
    error_message: str | None = None
    decided_by: str | None = None
    cohort: int | None = None


def failure(flag_key: str, code: ErrorCode, message: str, default: Any = None) -> EvaluationDetails:
    """An answer that is the caller's default, and why."""
    return EvaluationDetails(
        flag_key=flag_key,
        value=default,
        variant=None,
        reason=Reason.ERROR,
        error_code=code,
        error_message=message,
    )
