"""The one table from what was refused to an HTTP problem (RFC 9457)."""

from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, Response, json, request
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.exceptions import NotFound as WrongPath

from wavegate_controller.documents.outlooks import findings_to_documents
from wavegate_controller.documents.shown import FindingShown
from wavegate_controller.domain.errors import (
    Conflict,
    ControllerError,
    EventRefused,
    Forbidden,
    HistoryLost,
    InProgress,
    Invalid,
    NotFound,
    SignInRefused,
    StaleVersion,
    Throttled,
)
from wavegate_controller.domain.foresight.findings import LintRefused
from wavegate_controller.domain.passport import Unmet

#: Refusal to status, last part of the problem's type, and title.
PROBLEMS: Final[dict[type[ControllerError], tuple[HTTPStatus, str, str]]] = {
    Invalid: (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", "A value is not valid"),
    SignInRefused: (HTTPStatus.UNAUTHORIZED, "sign-in-refused", "Not signed in"),
    Throttled: (HTTPStatus.TOO_MANY_REQUESTS, "throttled", "Too many attempts"),
    Forbidden: (HTTPStatus.FORBIDDEN, "forbidden", "Not allowed"),
    NotFound: (HTTPStatus.NOT_FOUND, "not-found", "There is no such thing"),
    Conflict: (HTTPStatus.CONFLICT, "conflict", "In conflict with what exists"),
    EventRefused: (HTTPStatus.CONFLICT, "event-refused", "Not possible in this state"),
    InProgress: (HTTPStatus.CONFLICT, "in-progress", "Being carried out at this moment"),
    StaleVersion: (HTTPStatus.CONFLICT, "stale-version", "Changed by somebody else meanwhile"),
    Unmet: (HTTPStatus.CONFLICT, "unmet", "The stage asks for more"),
    LintRefused: (HTTPStatus.CONFLICT, "lint", "The gates would not do what they are there for"),
    HistoryLost: (HTTPStatus.BAD_GATEWAY, "history-lost", "The metrics server's past cannot be read"),
}


class Wrong(BaseModel):
    """A value that was refused."""

    model_config = ConfigDict(extra="forbid")

    field: str = Field(description="Its path in the document, or the name of the parameter or header.")
    problem: str = Field(description="What was wrong with it.")
    expected: str = Field(description="What would be right.")


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:wavegate:problem:invalid",
                    "title": "A value is not valid",
                    "status": 422,
                    "detail": "key: is missing; expected a value",
                    "errors": [{"field": "key", "problem": "is missing", "expected": "a value"}],
                }
            ]
        }
    )

    type: str = Field(description="Kind of problem; programs go by this.")
    title: str = Field(description="The kind in a few words.")
    status: int
    detail: str = Field(description="What was wrong with this request.")
    errors: list[Wrong] = Field(default_factory=list, description="The values that were refused.")
    findings: list[FindingShown] | None = Field(default=None, description="With `lint`: all that it found.")
    version: int | None = Field(default=None, description="With `stale-version`: the version that is there now.")
    state: str | None = Field(default=None, description="With `event-refused`: where the rollout stands.")
    allowed: list[str] | None = Field(default=None, description="With `event-refused`: what it takes now.")
    permission: str | None = Field(default=None, description="With `forbidden`: what is not allowed.")
    environment: str | None = Field(default=None, description="With `forbidden`: where; `*` for everywhere.")
    needed: str | None = Field(default=None, description="With `forbidden`: the weakest role that may.")


def problem(status: int, *, title: str, detail: str, kind: str | None = None, **further: Any) -> Response:
    """One problem document."""
    document = {"type": f"urn:wavegate:problem:{kind}" if kind else "about:blank", "title": title, "status": status}
    body = json.dumps(document | {"detail": detail} | further)
    return Response(body, status=status, content_type="application/problem+json")


def register(api: Blueprint) -> None:
    """Let every refusal beneath /api leave as a problem, unknown paths included."""
    api.register_error_handler(ControllerError, _refused)
    api.register_error_handler(HTTPException, _http)
    # A path that leads nowhere belongs to no blueprint, so the application is asked, and pages keep their own answer.
    for status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        api.app_errorhandler(status)(_nowhere)


def _refused(refusal: ControllerError) -> Response:
    status, kind, title = PROBLEMS[type(refusal)]
    if isinstance(refusal, StaleVersion) and "If-Match" in request.headers:
        status = HTTPStatus.PRECONDITION_FAILED
    further: dict[str, Any] = {}
    match refusal:
        case Invalid(field=field, problem=wrong, expected=expected):
            further["errors"] = [{"field": field, "problem": wrong, "expected": expected}]
        case Unmet(missing=missing):
            further["errors"] = [
                {"field": each.field, "problem": each.problem, "expected": "what the stage asks for"}
                for each in missing
            ]
        case LintRefused(found=found):
            further["findings"] = [
                each for subject, findings in found.items() for each in findings_to_documents(subject, findings)
            ]
        case EventRefused(state=state, allowed=allowed):
            further |= {"state": str(state), "allowed": [str(event) for event in allowed]}
        case Forbidden(permission=permission, environment=environment, needed=needed):
            further |= {"permission": permission, "environment": environment, "needed": needed}
        case StaleVersion(current=int(current)):
            further["version"] = current
        case _:
            pass
    answer = problem(status, title=title, detail=str(refusal), kind=kind, **further)
    if isinstance(refusal, InProgress):
        answer.headers["Retry-After"] = "1"
    if isinstance(refusal, StaleVersion) and refusal.current is not None:
        answer.set_etag(str(refusal.current))
    if isinstance(refusal, Throttled):
        answer.headers["Retry-After"] = str(refusal.seconds)
    return answer


def _http(error: HTTPException) -> Response:
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    answer = problem(status, title=HTTPStatus(status).phrase, detail=_detail(error))
    for name, value in error.get_headers():
        if name != "Content-Type":
            answer.headers[name] = value
    return answer


def _detail(error: HTTPException) -> str:
    """Werkzeug speaks of no request in particular where the request's own path or size would help."""
    match error:
        case InternalServerError():
            return "the controller failed; its log says why"
        case WrongPath():
            return f"there is nothing at {request.path}; /api/v1/openapi.json lists all paths"
        case MethodNotAllowed(valid_methods=methods):
            return f"{request.path} does not take {request.method}; it takes {', '.join(sorted(methods or ()))}"
        case RequestEntityTooLarge():
            return f"the body is larger than the {request.max_content_length:,} bytes that this path takes"
        case _:
            return error.description or ""


def _nowhere(error: HTTPException) -> Response | HTTPException:
    return _http(error) if f"{request.path}/".startswith("/api/") else error
