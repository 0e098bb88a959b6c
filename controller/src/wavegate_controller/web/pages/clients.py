"""The page of the apps that are connected: what each uses, and whether it has what it should have."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from flask import Blueprint, render_template, request

from wavegate_controller.domain.delivery import ConnectedClient
from wavegate_controller.identity import here, principal
from wavegate_controller.service import fleets, queries
from wavegate_controller.service.services import Services

#: Of ten thousand processes the ones furthest behind come first, and those are worth a line.
_SHOWN: Final = 200
_REVISIONS: Final = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One process of an app.

    Attributes:
        standing: `current`, `behind`, `ahead` or `silent`.
        behind: by how many revisions.
        held: for how long it has used its revision.
    """

    client: ConnectedClient
    standing: str
    behind: int
    held: timedelta


def lines(clients: Sequence[ConnectedClient], revision: int | None) -> list[Line]:
    """Each beside the revision in force."""
    return [_line(each, revision or 0) for each in clients]


def add_clients(web: Blueprint, services: Services) -> None:
    """The page /clients."""

    @web.get("/clients")
    def clients() -> str:
        where, who = here(services), principal()
        wanted = request.args.get("find", "").strip().lower()
        ruleset = queries.ruleset_in_force(where, by=who)
        revision = ruleset.revision if ruleset else None
        everybody = lines(fleets.connected_clients(where, by=who), revision)
        found = [each for each in everybody if wanted in _words(each.client)]
        return render_template(
            "web/clients.html",
            revision=revision,
            published_at=ruleset.published_at if ruleset else None,
            lines=found[:_SHOWN],
            found=len(found),
            total=len(everybody),
            counted=Counter(each.standing for each in everybody),
            sdks=Counter(each.client.sdk or "unknown" for each in everybody).most_common(),
            revisions=fleets.delivered_revisions(where, by=who)[:_REVISIONS],
            wanted=wanted,
        )


def _line(client: ConnectedClient, revision: int) -> Line:
    behind = 0 if client.revision is None else revision - client.revision
    standing = "silent" if client.revision is None else "behind" if behind > 0 else "ahead" if behind < 0 else "current"
    return Line(client=client, standing=standing, behind=behind, held=timedelta(seconds=client.held_seconds))


def _words(client: ConnectedClient) -> str:
    return f"{client.app} {client.instance} {client.sdk}".lower()
