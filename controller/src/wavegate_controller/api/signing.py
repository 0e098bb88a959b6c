"""Who asks: the name behind a token, and the name under an act."""

import hmac
from collections.abc import Mapping

from flask import g, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from wavegate_controller.domain.errors import Invalid


def sign(tokens: Mapping[str, str]) -> None:
    """Let the request in, and remember in whose name.

    Raises:
        Unauthorized: tokens are required and this is none of them.
    """
    g.signed_by = None
    if not tokens:
        return
    given = request.authorization.token if request.authorization and request.authorization.type == "bearer" else None
    # All of them are compared, each in constant time: how long it takes says nothing about how near a guess is.
    names = [name for name, token in tokens.items() if hmac.compare_digest(token.encode(), (given or "").encode())]
    if not given or not names:
        raise Unauthorized(
            "send a token of this controller as `Authorization: Bearer <token>`",
            www_authenticate=WWWAuthenticate("bearer", {"realm": "wavegate"}),
        )
    g.signed_by = names[0]


def actor(given: str | None) -> str:
    """Who signs the act: the token's name; without tokens, the name in the body.

    Raises:
        Invalid: no name, or another one than the token's.
    """
    signed_by: str | None = g.signed_by
    if signed_by is None:
        if given is None:
            raise Invalid("actor", "is missing", "the name of the person who asks")
        return given
    if given not in (None, signed_by):
        raise Invalid("actor", f"{given!r} is not whose token this is", f"{signed_by!r}, or no actor at all")
    return signed_by
