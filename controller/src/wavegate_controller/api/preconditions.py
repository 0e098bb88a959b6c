"""`ETag` and `If-Match`: a change is made to the version that was read, or not at all.

An ETag is the version of a thing in quotes. It says whether the thing was changed, not whether every word of its
document is the same: a rollout's document tells of each look at its gates, too. So it is for `If-Match` alone.
"""

import re
from dataclasses import replace
from typing import Any, Final

from flask import make_response, request
from flask.typing import ResponseReturnValue

from wavegate_controller.documents.reading import Document
from wavegate_controller.documents.shown import FlagShown, RolloutShown, StartedShown
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.service.services import Services
from wavegate_controller.service.unchanged import Unchanged, lock_flag, lock_rollout

HEADER: Final = "If-Match"
_TAG: Final = re.compile(r'(W/)?"([^"]*)"')
_NEVER: Final = -1
#: What is answered to the part of the path that names it, and how its version is read.
_LOCKS: Final[dict[Any, Any]] = {
    FlagShown: ("key", lock_flag),
    RolloutShown: ("reference", lock_rollout),
    StartedShown: ("reference", lock_rollout),
}


def takes_version(method: str, path: str, answer: Any, body: Any) -> bool:
    """Whether an operation heeds If-Match."""
    if method == "GET" or body is None:
        return False
    return "version" in body.model_fields or (answer in _LOCKS and f"{{{_LOCKS[answer][0]}}}" in path)


def has_version(answer: Any) -> bool:
    """Whether what is answered counts its changes."""
    field = None if answer is None else answer.model_fields.get("version")
    return field is not None and field.annotation is int


def expected_version() -> int | None:
    """The version that If-Match names; None for any, and one that nothing has for a tag that is none of ours.

    Raises:
        Invalid: it is no ETag, or more than one.
    """
    given = request.headers.getlist(HEADER)
    if not given or given == ["*"]:
        return None
    tag = _TAG.fullmatch(given[0].strip()) if len(given) == 1 else None
    if tag is None:
        raise Invalid(HEADER, f"{', '.join(given)!r} is not one ETag", 'the ETag that was read, such as "3", or *')
    # A weak tag says too little to build on (RFC 9110, section 13.1.1).
    return int(tag[2]) if not tag[1] and re.fullmatch(r"[0-9]{1,9}", tag[2]) else _NEVER


def with_version(body: Document | None, expected: int | None) -> Document | None:
    """The body, saying what If-Match says.

    Raises:
        Invalid: it names another version by itself.
    """
    if body is None or expected is None or "version" not in type(body).model_fields:
        return body
    if getattr(body, "version", None) not in (None, expected):
        raise Invalid("version", "is not the one of If-Match", "one of the two, or the same")
    return body.model_copy(update={"version": expected})


def unchanged(services: Services, answer: Any, parts: dict[str, str], expected: int | None) -> Services:
    """Services that act on the expected version only."""
    if expected is None or answer not in _LOCKS or _LOCKS[answer][0] not in parts:
        return services
    part, lock = _LOCKS[answer]
    store = Unchanged(services.store, lock(services.environment, parts[part]), expected)
    return replace(services, store=store)


def tagged(given: ResponseReturnValue, answer: Any) -> ResponseReturnValue:
    """The answer with its ETag, where it has a version that counts changes."""
    if not has_version(answer):
        return given
    response = make_response(given)
    document = response.get_json(silent=True)
    if isinstance(document, dict) and isinstance(document.get("version"), int):
        response.set_etag(str(document["version"]))
    return response
