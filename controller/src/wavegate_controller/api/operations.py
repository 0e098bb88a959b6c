"""Operations: each route of the API is declared once; Flask's rules and the OpenAPI document are made from that.

    tokens = Operations("tokens", "Keys of people and programs.")

    @tokens.post("/tokens", "Make a token", answer=TokenShown, status=201, problems=[Conflict])
    def create_token(services: Services, by: Principal, body: TokenDocument) -> ResponseReturnValue:
        \"\"\"What more there is to say; Markdown.\"\"\"

The function's name is the operation's id. What it takes, it asks for by the names of its parameters: `services`, of
the environment that is asked about; `by`, who asks, or signs where the body is signed; `query` and `body`, read
strictly as the models that they are annotated with; all others are parts of the path. What it gives is checked against
`answer` by the tests. A module's operations join the API by their line in `blueprint.OPERATIONS`.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias, cast

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel

from wavegate_controller.api.idempotency import once
from wavegate_controller.api.preconditions import (
    HEADER,
    expected_version,
    tagged,
    takes_version,
    unchanged,
    with_version,
)
from wavegate_controller.api.reading import Parameters, Query, Signable, read_body, read_query
from wavegate_controller.documents.reading import Document
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.errors import ControllerError, Forbidden, Invalid, NotFound
from wavegate_controller.identity import here, principal, signer
from wavegate_controller.service.services import Services

Handler: TypeAlias = Callable[..., ResponseReturnValue]

#: What a handler asks for by name that is no part of the path.
_HANDED_IN: Final = frozenset({"services", "by", "query", "body"})


#: In the place of a permission: the one that the method suggests.
_BY_METHOD: Final = cast("Permission", "by method")


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        path: with its parts in braces, beneath the prefix.
        summary: what it does, in a few words.
        description: what more there is to say; Markdown.
        answer: model of what it gives; None for nothing.
        status: of what it gives.
        problems: refusals beyond those that follow from what it takes.
        is_open: whether anybody may ask without saying who they are.
        is_listed: whether it stands in the OpenAPI document; those that only refuse do not.
        is_secret: whether what it gives is shown once and kept nowhere.
        media: type of an answer that is no JSON.
        permission: what it takes in the environment; None where anybody may ask, or only who it is about. The service
            asks for it; a test holds the two together.
    """

    tag: str
    method: str
    path: str
    summary: str
    handler: Handler
    answer: type[BaseModel] | None
    status: int
    problems: frozenset[type[ControllerError]]
    query: type[Parameters]
    body: type[Document] | None
    is_open: bool
    is_listed: bool
    is_secret: bool
    media: str | None
    permission: Permission | None

    @property
    def name(self) -> str:
        """Unlike all others'."""
        return self.handler.__name__

    @property
    def description(self) -> str:
        """The handler's docstring."""
        return inspect.getdoc(self.handler) or ""

    @property
    def takes_version(self) -> bool:
        """Whether it heeds If-Match."""
        return takes_version(self.method, self.path, self.answer, self.body)

    @property
    def parts(self) -> Sequence[str]:
        """The parts of the path that are given."""
        return re.findall(r"{(\w+)}", self.path)


@dataclass(frozen=True, slots=True)
class Operations:
    """The operations of one kind of thing.

    Attributes:
        tag: the thing, in the plural.
        about: what it is, in a sentence.
        prefix: that all paths begin with.
        is_open: whether anybody may ask without saying who they are.
    """

    tag: str
    about: str
    prefix: str = field(default="/api/v1", kw_only=True)
    is_open: bool = field(default=False, kw_only=True)
    all: list[Operation] = field(default_factory=list, init=False)

    def get(self, path: str, summary: str, **further: Any) -> Callable[[Handler], Handler]:
        """Declare one that reads; see `add`."""
        return partial(self.add, "GET", path, summary, **further)

    def post(self, path: str, summary: str, **further: Any) -> Callable[[Handler], Handler]:
        """Declare one that acts; see `add`."""
        return partial(self.add, "POST", path, summary, **further)

    def put(self, path: str, summary: str, **further: Any) -> Callable[[Handler], Handler]:
        """Declare one that replaces; see `add`."""
        return partial(self.add, "PUT", path, summary, **further)

    def patch(self, path: str, summary: str, **further: Any) -> Callable[[Handler], Handler]:
        """Declare one that changes some fields; see `add`."""
        return partial(self.add, "PATCH", path, summary, **further)

    def delete(self, path: str, summary: str, **further: Any) -> Callable[[Handler], Handler]:
        """Declare one that removes; see `add`."""
        return partial(self.add, "DELETE", path, summary, **further)

    def add(  # noqa: PLR0913 - one argument for each thing that is declared
        self,
        method: str,
        path: str,
        summary: str,
        handler: Handler,
        *,
        answer: type[BaseModel] | None = None,
        status: int | None = None,
        problems: Sequence[type[ControllerError]] = (),
        is_listed: bool = True,
        is_secret: bool = False,
        media: str | None = None,
        permission: Permission | None = _BY_METHOD,
    ) -> Handler:
        """Declare an operation.

        Args:
            method: of HTTP.
            path: beneath the prefix, with its parts in braces.
            summary: what it does, in a few words.
            handler: does it.
            answer: model of what it gives; None for nothing.
            status: of what it gives; by default 200, or 204 for nothing.
            problems: refusals to expect, beyond `Invalid`, `NotFound` and `Forbidden`.
            is_listed: whether it stands in the OpenAPI document.
            is_secret: whether what it gives is shown once and kept nowhere.
            media: type of an answer that is no JSON.
            permission: what it takes; by default to read for GET, else to edit; None for nothing.
        """
        wanted = inspect.signature(handler).parameters
        operation = Operation(
            tag=self.tag,
            method=method,
            path=self.prefix + path,
            summary=summary,
            handler=handler,
            answer=answer,
            status=status or (204 if answer is None and media is None else 200),
            problems=frozenset(problems) | (set() if self.is_open else {NotFound, Forbidden}),
            query=wanted["query"].annotation if "query" in wanted else Parameters if self.is_open else Query,
            body=wanted["body"].annotation if "body" in wanted else None,
            is_open=self.is_open,
            is_listed=is_listed,
            is_secret=is_secret,
            media=media,
            permission=_permission(method, permission, is_open=self.is_open),
        )
        taken = set(wanted) - _HANDED_IN
        if taken != set(operation.parts):
            raise TypeError(f"{operation.name} takes {sorted(taken)}, its path has {sorted(operation.parts)}")
        self.all.append(operation)
        return handler

    def register(self, blueprint: Blueprint, services: Services) -> None:
        """Make Flask's rules of them."""
        for operation in self.all:
            rule = operation.path.replace("{", "<").replace("}", ">")
            view = partial(_answer, operation, services)
            blueprint.add_url_rule(rule, endpoint=operation.name, view_func=view, methods=[operation.method])


def _permission(method: str, given: Permission | None, *, is_open: bool) -> Permission | None:
    if is_open:
        return None
    if given is _BY_METHOD:
        return Permission.READ if method == "GET" else Permission.EDIT
    return given


def _answer(operation: Operation, services: Services, **parts: str) -> ResponseReturnValue:
    """Read what the operation takes, and let it answer."""
    wanted = inspect.signature(operation.handler).parameters
    for part, name in parts.items():
        if "\0" in name:  # which no database would look for
            raise NotFound(part, name)
    query = read_query(operation.query)
    body = read_body(operation.body) if operation.body else None
    expected = _expected(operation)
    body = with_version(body, expected)
    by = None if operation.is_open else _sender(body)
    given = {"by": by, "query": query, "body": body}

    def act(services: Services) -> ResponseReturnValue:
        world = {"services": unchanged(services, operation.answer, parts, expected), **given}
        answer = operation.handler(**parts, **{name: value for name, value in world.items() if name in wanted})
        return tagged(answer, operation.answer)

    if by is None:
        return act(services)
    if operation.method != "POST":
        return act(here(services))
    return once(here(services), f"{by.kind}:{by.name}", act, keep=not operation.is_secret)


def _expected(operation: Operation) -> int | None:
    """What If-Match says.

    Raises:
        Invalid: it makes no sense, or not here: what would not be heeded must not look as if it were.
    """
    if operation.takes_version:
        return expected_version()
    if operation.method != "GET" and HEADER in request.headers:
        raise Invalid(HEADER, "is not heeded here", "a request without it")
    return None


def _sender(body: Document | None) -> Principal:
    """Whoever sends it; of a document that is signed, whoever signs it."""
    if body is None or "actor" not in type(body).model_fields:
        return principal()
    actor = getattr(body, "actor", None)
    return principal() if actor is None and isinstance(body, Signable) else signer(actor)
