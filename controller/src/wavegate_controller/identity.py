"""Who sends a request, and of which environment it speaks: the same for the API and for the pages."""

import hmac
from collections.abc import Mapping
from typing import cast

from flask import g, request

from wavegate_controller.domain.access import EVERYWHERE, Kind, Principal, Role
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.service.services import Services


class Identity:
    """Tells who sends a request.

    Args:
        tokens: name to API token, each with all permissions. With none the controller is open: whoever reaches it may
            act, under any name.
    """

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._tokens = tokens

    def identify(self) -> Principal | None:
        """Who sends the request that is being answered; None for somebody unknown. Remembered for `principal`."""
        g.principal = self._by_token() if self._tokens else unproven("anybody")
        return principal() if g.principal else None

    def _by_token(self) -> Principal | None:
        given = _bearer()
        if given is None:
            return None
        # All of them are compared, each in constant time: how long it takes says nothing about how near a guess is.
        names = [name for name, token in self._tokens.items() if hmac.compare_digest(token.encode(), given.encode())]
        return Principal(name=names[0], kind=Kind.TOKEN, roles={EVERYWHERE: Role.ADMIN}) if names else None


def principal() -> Principal:
    """Who sends the request, once they were identified."""
    return cast("Principal", g.principal)


def signer(given: str | None) -> Principal:
    """Who signs an act: who sends it, in whose name alone they may sign; where nobody is known, the name given.

    Raises:
        Invalid: no name, or another one than theirs.
    """
    sender = principal()
    if sender.kind is Kind.UNPROVEN:
        if given is None:
            raise Invalid("actor", "is missing", "the name of the person who asks")
        return unproven(given)
    if given not in (None, sender.name):
        raise Invalid("actor", f"{given!r} is not who sends this", f"{sender.name!r}, or no actor at all")
    return sender


def unproven(name: str) -> Principal:
    """Somebody who says a name, where that is enough."""
    return Principal(name=name, kind=Kind.UNPROVEN, roles={EVERYWHERE: Role.ADMIN})


def here(services: Services) -> Services:
    """The services of the environment that the request names; by default that of the controller.

    Raises:
        NotFound: there is no such environment.
    """
    named = request.args.get("environment")
    return services if named is None else services.within(named)


def _bearer() -> str | None:
    given = request.authorization
    return given.token if given and given.type == "bearer" else None
