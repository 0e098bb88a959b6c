"""The OpenAPI 3.1 document, made from the operations and the models that they name."""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from wavegate_controller.api import idempotency, preconditions
from wavegate_controller.api.errors import PROBLEMS, Problem
from wavegate_controller.api.operations import Operation, Operations
from wavegate_controller.api.preconditions import has_version
from wavegate_controller.domain.access import LEAST_ROLE
from wavegate_controller.domain.errors import InProgress, Invalid

Schema: TypeAlias = dict[str, Any]
#: Model to where its schema stands.
References: TypeAlias = Mapping[Any, Schema]

_REF: Final = "#/components/schemas/{model}"
_ABOUT: Final = """\
Progressive rollouts of AI features: a wave opens only while its metrics pass.

Documents are strict: unknown fields, unknown query parameters and repeated ones are refused by name. Every refusal is a
problem document (RFC 9457) that says what was wrong and what would be right. Times are ISO 8601 in UTC.
"""
#: Parts of paths: what they are, and one of them.
_PARTS: Final = {
    "key": ("Of the flag.", "ai-summaries"),
    "reference": ("A rollout's id, or a flag's key for the newest rollout of that flag.", "ai-summaries:2"),
    "channel": ("Name of the channel.", "team-ai"),
    "delivery": ("Number of the delivery.", "17"),
    "entry": ("Number of the entry.", "17"),
    "user": ("Name of the person.", "ada"),
    "token": ("Id of the token.", "3f0c9a71b2d4"),
    "sdk_key": ("Id of the key.", "3f0c9a71b2d4"),
    "decision": ("Of the decision.", "17"),
    "name": ("Of the environment.", "staging"),
    "number": ("Number of the answer.", "17"),
}
_TITLES: Final = {
    HTTPStatus.BAD_REQUEST: "The body is not JSON",
    HTTPStatus.UNAUTHORIZED: "No token, or none of this controller's",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body was not sent as JSON",
}
#: What keeps a body from being read.
_OF_BODIES: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)


def describe(parts: Sequence[Operations]) -> Schema:
    """The document."""
    operations = [each for part in parts for each in part.all if each.is_listed]
    refs, schemas = _schemas(operations)
    paths: dict[str, Schema] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Wavegate",
            "summary": "The control plane's API.",
            "description": _ABOUT,
            "version": version("wavegate-controller"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This controller."}],
        "security": [{"token": []}],
        "tags": [{"name": part.tag, "description": part.about} for part in parts],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token of this controller."},
            },
        },
    }


def _schemas(operations: Sequence[Operation]) -> tuple[References, Schema]:
    """Model to its reference, and what all of them refer to."""
    models: dict[type[BaseModel], None] = {Problem: None}
    for operation in operations:
        models |= {model: None for model in (operation.body, operation.answer) if model is not None}
    keyed, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    return {model: schema for (model, _), schema in keyed.items()}, definitions["$defs"]


def _operation(operation: Operation, refs: References) -> Schema:
    described: Schema = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": _description(operation),
        "parameters": [*_path(operation), *_query(operation), *_headers(operation), *_match(operation)],
        "responses": _responses(operation, refs),
    }
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": _json(refs[operation.body])}
    if operation.is_open:
        described["security"] = []
    return described


def _description(operation: Operation) -> str:
    if operation.permission is None:
        return operation.description
    role = LEAST_ROLE[operation.permission]
    article = "an" if role[0] in "ae" else "a"
    return f"{operation.description}\n\nTakes {article} {role}, or more (`{operation.permission}`)."


def _path(operation: Operation) -> Iterator[Schema]:
    for part in operation.parts:
        description, example = _PARTS[part]
        yield {
            "name": part,
            "in": "path",
            "required": True,
            "description": description,
            "schema": {"type": "string", "minLength": 1},
            "example": example,
        }


def _query(operation: Operation) -> Iterator[Schema]:
    properties: Mapping[str, Schema] = operation.query.model_json_schema().get("properties", {})
    for name, schema in properties.items():
        # A parameter is left out rather than null.
        kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
        narrowed = schema | kinds[0] if len(kinds) == 1 else schema
        shown = {key: value for key, value in narrowed.items() if key not in ("anyOf", "title", "description")}
        if shown.get("default", "") is None:
            del shown["default"]
        description = schema.get("description", "")
        yield {"name": name, "in": "query", "required": False, "description": description, "schema": shown}


def _headers(operation: Operation) -> Iterator[Schema]:
    if _may_repeat(operation):
        yield {
            "name": idempotency.HEADER,
            "in": "header",
            "required": False,
            "description": "A new one for each request: sent again under the same key, it is not carried out again.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]+$"},
            "example": "5f1c0c7e-promote-wave-2",
        }


def _match(operation: Operation) -> Iterator[Schema]:
    if operation.takes_version:
        yield {
            "name": preconditions.HEADER,
            "in": "header",
            "required": False,
            "description": "The ETag that was read: refused with 412 when the thing was changed since.",
            "schema": {"type": "string", "pattern": r'^(\*|(W/)?"[^"]*")$'},
            "example": '"3"',
        }


def _responses(operation: Operation, refs: References) -> Schema:
    done: Schema = {"description": HTTPStatus(operation.status).phrase}
    if operation.answer is not None:
        done["content"] = _json(refs[operation.answer])
    if operation.media is not None:
        done["content"] = {operation.media: {"schema": {"type": "string"}}}
    headers: Schema = {}
    if operation.status == HTTPStatus.CREATED:
        headers["Location"] = {"description": "Where it is.", "schema": {"type": "string"}}
    if has_version(operation.answer):
        headers["ETag"] = {"description": "Its version, for `If-Match`.", "schema": {"type": "string"}}
    if headers:
        done["headers"] = headers
    responses = {str(operation.status): done}
    for status, titles in _problems(operation):
        content = {"application/problem+json": {"schema": refs[Problem]}}
        responses[str(status.value)] = {"description": "; ".join(titles), "content": content}
    return responses


def _problems(operation: Operation) -> Iterator[tuple[HTTPStatus, Sequence[str]]]:
    by_status: dict[HTTPStatus, list[str]] = {}
    for refusal in PROBLEMS:
        if refusal in operation.problems or refusal is Invalid or (refusal is InProgress and _may_repeat(operation)):
            status, _, title = PROBLEMS[refusal]
            by_status.setdefault(status, []).append(title)
    if operation.takes_version:
        by_status.setdefault(HTTPStatus.PRECONDITION_FAILED, []).append("Changed since the version of If-Match")
    for status in (() if operation.is_open else (HTTPStatus.UNAUTHORIZED,)) + (_OF_BODIES if operation.body else ()):
        by_status.setdefault(status, []).append(_TITLES[status])
    yield from sorted(by_status.items())


def _may_repeat(operation: Operation) -> bool:
    return operation.method == "POST" and not operation.is_open


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}
