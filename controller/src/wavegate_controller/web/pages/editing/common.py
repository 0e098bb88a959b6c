"""What editors have in common: whether a change was seen before it is saved, and how to do the same from elsewhere."""

import hashlib
import json
import shlex
from collections.abc import Mapping
from typing import Any, Final

from flask import request

from wavegate_controller.documents.configuration import API_VERSION
from wavegate_controller.documents.texts import write_text
from wavegate_controller.domain.errors import Invalid

_LONGEST_VERSION: Final = 9


def digest(document: Any) -> str:
    """Of what was reviewed: what is saved must be that."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()


def version_given() -> int:
    """The version that the form was made from.

    Raises:
        Invalid: it is none.
    """
    text = request.form.get("version", "")
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_VERSION):
        raise Invalid("version", f"{text!r} is none", "the number that the page has")
    return int(text)


def base_of(text: str) -> Mapping[str, Any]:
    """The document that the form was made from, as it sends it along; empty where it is none."""
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        found = {}
    return found if isinstance(found, dict) else {}


def lines_of(name: str) -> list[str]:
    """A text field as its lines, without empty ones."""
    return [line.strip() for line in request.form.get(name, "").splitlines() if line.strip()]


def curl(method: str, path: str, document: Mapping[str, Any]) -> str:
    """The request to the API that does the same."""
    body = shlex.quote(json.dumps(document, ensure_ascii=False))
    url = shlex.quote(f"{request.host_url}api/v1/{path}")
    head = "-H \"Authorization: Bearer $WAVEGATE_TOKEN\" -H 'Content-Type: application/json'"
    return f"curl -X {method} {head} -d {body} {url}"


def as_file(command: str, document: Mapping[str, Any]) -> str:
    """A command that reads the document from its standard input."""
    return f"{command} <<'EOF'\n{write_text(dict(document))}EOF"


def applied(kind: str, environment: str, spec: Mapping[str, Any]) -> str:
    """The object for `wavegate apply`."""
    return write_text({"apiVersion": API_VERSION, "kind": kind, "environment": environment, "spec": dict(spec)})
