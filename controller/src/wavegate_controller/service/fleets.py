"""How far the rulesets have come, for who may read the environment; and how processes that serve share that."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.delivery import ClientNews, ConnectedClient, DeliveredRevision, FleetNews
from wavegate_controller.ports import WORDS, UnitOfWork
from wavegate_controller.service.services import Services

#: Whoever missed what is older asks for everything anew.
KEPT: Final = timedelta(minutes=1)
_HELLO: Final = "hello"
_BYE: Final = "bye"


def delivered_revisions(services: Services, *, by: Principal) -> Sequence[DeliveredRevision]:
    """How far each revision came, newest first."""
    by.require(Permission.READ, services.environment)
    return services.fleets.revisions(services.environment)


def connected_clients(services: Services, *, by: Principal) -> Sequence[ConnectedClient]:
    """Who is connected, those furthest behind first."""
    by.require(Permission.READ, services.environment)
    return services.fleets.clients(services.environment)


def greet(services: Services, process: str) -> int:
    """Say to the others that this process is there and knows of nobody; the id of what was said last."""
    with services.store.transaction() as work:
        _say(work, process, [("", {_HELLO: True})])
        return work.words.newest()


def tell(services: Services, process: str, *, all_of_it: bool, is_due: bool) -> None:
    """Say to the others what this process hears; when that `is_due`, also that there is nothing new."""
    news = services.fleets.news(all_of_it=all_of_it)
    words = [(environment, _to_document(each)) for environment, each in news.items()]
    if not words and not is_due:
        return
    with services.store.transaction() as work:
        _say(work, process, words or [("", {})])
        if is_due:
            work.words.forget(older_than=KEPT)


def part(services: Services, process: str) -> None:
    """Say to the others that this process ends."""
    with services.store.transaction() as work:
        _say(work, process, [("", {_BYE: True})])


def hear(services: Services, process: str, *, after: int) -> tuple[int, bool]:
    """Take in what others said after that; the id of the last of it, and whether somebody asks for everything."""
    with services.store.transaction() as work:
        words = work.words.list(after=after, but=process)
    is_asked = False
    for word in words:
        if word.document.get(_BYE):
            services.fleets.ended(word.process)
            continue
        is_asked = is_asked or bool(word.document.get(_HELLO))
        news = _from_document(word.document)
        services.fleets.told(word.process, word.environment, news, seconds_ago=word.seconds_ago)
    return (words[-1].id if words else after), is_asked


def _say(work: UnitOfWork, process: str, words: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    work.words.add(process, words)
    work.notify(WORDS, process)


def _to_document(news: FleetNews) -> dict[str, Any]:
    clients = [
        [each.instance, each.revision, round(each.held_seconds, 6), each.sdk, each.app, each.streaming, each.is_heard]
        for each in news.clients
    ]
    return {"clients": clients, "left": list(news.left), "is_all": news.is_all}


def _from_document(document: Mapping[str, Any]) -> FleetNews:
    names = ("instance", "revision", "held_seconds", "sdk", "app", "streaming", "is_heard")
    return FleetNews(
        # A later release may say more of each.
        clients=tuple(ClientNews(**dict(zip(names, each, strict=False))) for each in document.get("clients", ())),
        left=tuple(document.get("left", ())),
        is_all=bool(document.get("is_all")),
    )
