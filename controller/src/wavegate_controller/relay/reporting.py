"""Which revision the clients of a relay use, told to its upstream: what changed every second, everything now and then.

Told again it does no harm, and an upstream that lost what it knew has it back soon.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Any, Final

from wavegate.client.transport import Accepted, Transport
from wavegate.client.worker import Worker
from wavegate_controller.documents.acks import MOST_CLIENTS
from wavegate_controller.domain.delivery import ConnectedClient

_log: Final = logging.getLogger("wavegate")
_EVERY: Final = 1.0
#: After so many seconds everything is told again.
_AFRESH: Final = 15.0
_PATIENCE_AT_CLOSE: Final = 1.0


class Reports:
    """Reports until it is closed.

    Args:
        transport: to the upstream, under the name by which the relay follows it.
        url: where to.
        clients: who is connected now.
        is_following: whether the upstream knows the relay now; when it did not for a while, it forgot its clients.
    """

    def __init__(
        self,
        transport: Transport,
        url: str,
        *,
        clients: Callable[[], Sequence[ConnectedClient]],
        is_following: Callable[[], bool],
    ) -> None:
        self._transport = transport
        self._url = url
        self._clients = clients
        self._is_following = is_following
        self._told: dict[str, int] = {}
        self._afresh = 0.0
        self._worker = Worker("wavegate-reports", self._step)

    def start(self) -> None:
        """Begin."""
        self._worker.start(_EVERY)

    def close(self) -> None:
        """End; what was not told is told by whoever takes the clients over."""
        if self._worker.stop(_PATIENCE_AT_CLOSE):
            self._transport.close()

    def _step(self) -> float:
        try:
            self._report()
        except Exception:  # noqa: BLE001 # the edge of the loop: a dead reporter would be silent
            _log.exception("action=reports_failed")
        return _EVERY

    def _report(self) -> None:
        if not self._is_following() or monotonic() >= self._afresh:
            self._told, self._afresh = {}, monotonic() + _AFRESH
        if not self._is_following():
            return
        connected = [client for client in self._clients() if client.revision is not None]
        news = [client for client in connected if self._told.get(client.instance) != client.revision]
        gone = self._told.keys() - {client.instance for client in connected}
        for document in _documents(news, sorted(gone)):
            if not isinstance(self._transport.send(json.dumps(document).encode(), url=self._url), Accepted):
                return
        self._told = {client.instance: client.revision for client in connected if client.revision is not None}


def _documents(clients: Sequence[ConnectedClient], gone: Sequence[str]) -> Iterator[dict[str, Any]]:
    for start in range(0, len(clients), MOST_CLIENTS):
        yield {"schema": 1, "clients": [_shown(client) for client in clients[start : start + MOST_CLIENTS]]}
    for start in range(0, len(gone), MOST_CLIENTS):
        yield {"schema": 1, "gone": list(gone[start : start + MOST_CLIENTS])}


def _shown(client: ConnectedClient) -> dict[str, Any]:
    return {
        "instance": client.instance,
        "revision": client.revision,
        "held_seconds": round(client.held_seconds, 6),
        "sdk": client.sdk,
        "app": client.app,
    }
