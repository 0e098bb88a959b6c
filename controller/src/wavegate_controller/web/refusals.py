"""What a form was refused for: each field's own, what is of the whole, and the status of the answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from wavegate_controller.domain.errors import (
    Conflict,
    ControllerError,
    EventRefused,
    Forbidden,
    Invalid,
    NotFound,
    SignInRefused,
    StaleVersion,
)
from wavegate_controller.domain.foresight.findings import LintRefused
from wavegate_controller.domain.passport import Unmet

_STATUS: Final[Mapping[type[ControllerError], HTTPStatus]] = {
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    Conflict: HTTPStatus.CONFLICT,
    EventRefused: HTTPStatus.CONFLICT,
    StaleVersion: HTTPStatus.CONFLICT,
    LintRefused: HTTPStatus.CONFLICT,
    Unmet: HTTPStatus.CONFLICT,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    SignInRefused: HTTPStatus.UNPROCESSABLE_ENTITY,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """Why nothing was done.

    Attributes:
        errors: field to what is wrong with it and what would be right.
        problem: what is wrong with the whole; empty where the fields say it all.
    """

    errors: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    status: HTTPStatus = HTTPStatus.OK


def refused(refusal: ControllerError, *fields: str) -> Refused:
    """A refusal for a form with these fields: by the field, or of the whole where the form has none that fits."""
    status = status_of(refusal)
    if isinstance(refusal, Invalid):
        name = _field(refusal.field, fields)
        if name is not None:
            return Refused(errors={name: _sentence(refusal, name)}, status=status)
        return Refused(
            problem=f"Not done: {refusal.field} {refusal.problem}. Needed: {refusal.expected}.", status=status
        )
    text = str(refusal)
    return Refused(problem=f"Not done: {text}.", status=status)


def status_of(refusal: ControllerError) -> HTTPStatus:
    """Of the answer to a form that was refused so."""
    return next((code for kind, code in _STATUS.items() if isinstance(refusal, kind)), HTTPStatus.BAD_REQUEST)


def errors_of(refusal: Invalid) -> Mapping[str, str]:
    """A refused field with its sentence."""
    return {refusal.field: _sentence(refusal, refusal.field)}


def _field(path: str, fields: tuple[str, ...]) -> str | None:
    """The form's field whose document the path lies in."""
    fitting = [each for each in fields if path == each or path.startswith((f"{each}.", f"{each}["))]
    return max(fitting, key=len, default=None)


def _sentence(refusal: Invalid, name: str) -> str:
    """`[2].percent is … Needed: …`, without the name that stands above the field anyway."""
    within = refusal.field.removeprefix(name).removeprefix(".")
    where = f"{within}: " if within else ""
    text = f"{where}{refusal.problem}"
    return f"{text[:1].upper()}{text[1:]}. Needed: {refusal.expected}."
