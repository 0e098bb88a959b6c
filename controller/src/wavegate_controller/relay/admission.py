"""Who may ask a relay: whoever may ask its upstream, which is asked about each key when it first comes and ever again.

So there are no keys to hand out to relays, and a key that is revoked falls here, too, a moment later.
"""

import asyncio
import json
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final

from wavegate.client.local import keep_last_known_good
from wavegate_controller.delivery import Grant, Keys
from wavegate_controller.delivery.asgi import Application, Message, Receive, Scope, Send, authorization, header, problem
from wavegate_controller.delivery.keys import hash_of, key_in
from wavegate_controller.relay.upstream import RELAYS, DoesNotHold, Holds, NoAnswer, Standing, relays_in

_log: Final = logging.getLogger("wavegate")
_PREFIXES: Final = ("/sdk/", "/ofrep/", "/flagd/")
#: Keys that hold are as many as the upstream gave out; of all others so many are remembered, for so long.
_MOST_ASKED: Final = 10_000
_ASKED_SECONDS: Final = 5.0
#: Keys that may wait to be asked about. More at once are no apps.
_MOST_WAITING: Final = 256
#: Relays in a row; nobody needs more, and a circle that is not seen otherwise ends here.
_LONGEST_CHAIN: Final = 8
#: A circle that was seen by a question coming back is thought to last for so many more questions.
_LOOKS_PER_CIRCLE: Final = 3


class Admission:
    """An ASGI application before the data plane's, which sees to it that the key of a request is known, if it holds.

    Args:
        inner: the data plane.
        keys: what it looks keys up in.
        ask: asks the upstream about an `Authorization` header that came through these relays; called in one thread.
        name: this relay's own, by chance.
        every: seconds after which a key that holds is asked about again.
        memory: a file for the hashes of keys that hold, so that a relay which starts while its upstream is away
            knows its apps; None for none.
    """

    def __init__(
        self,
        inner: Application,
        keys: Keys,
        ask: Callable[[bytes, tuple[str, ...]], Standing],
        *,
        name: str,
        every: float,
        memory: Path | None,
    ) -> None:
        self._inner = inner
        self._keys = keys
        self._ask = ask
        self._name = name
        self._every = every
        self._memory = memory
        #: By the hash of the key: what it allows, and the header to ask about it with. The empty header is no key.
        self._holding: dict[str, tuple[Grant, bytes]] = {}
        self._remembered = _read(memory)
        self._asked: OrderedDict[bytes, float] = OrderedDict()
        self._waiting: dict[bytes, asyncio.Future[Standing]] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="wavegate-admission")
        self._task: asyncio.Task[None] | None = None
        self._relays: tuple[str, ...] = ()
        self._met_itself = -math.inf

    @property
    def is_circular(self) -> bool:
        """Whether the upstream follows this relay itself, by whatever way."""
        if self._name in self._relays or len(self._relays) >= _LONGEST_CHAIN:
            return True
        return time.monotonic() - self._met_itself < _LOOKS_PER_CIRCLE * self._every

    @property
    def holding(self) -> int:
        """Keys that hold and were used here."""
        return len(self._holding)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith(_PREFIXES):
            await self._inner(scope, receive, send)
            return
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._look_after())
        named, through = self._named(send), relays_in(header(scope, RELAYS.encode()).decode("latin-1"))
        if self._name in through:
            self._follow(self._relays, met_itself=True)
        if self.is_circular:
            chain = " → ".join((self._name, *self._relays))
            await problem(named, HTTPStatus.LOOP_DETECTED, "Loop Detected", f"relays follow each other: {chain}")
        elif await self._is_settled(authorization(scope), through):
            await self._inner(scope, receive, named)
        else:
            detail = "the upstream cannot be asked about this key now"
            await problem(
                named, HTTPStatus.SERVICE_UNAVAILABLE, "Service Unavailable", detail, [(b"retry-after", b"1")]
            )

    def close(self) -> None:
        """Ask nothing any more. In the loop's thread, or after its end."""
        if self._task is not None:
            self._task.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _named(self, send: Send) -> Send:
        header = (RELAYS.encode(), ", ".join((self._name, *self._relays)).encode())

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], header]}
            await send(message)

        return send_named

    async def _is_settled(self, shown: bytes, through: tuple[str, ...]) -> bool:
        """Whether the data plane can tell by itself now."""
        key_hash = _hash(shown)
        if key_hash in self._holding:
            return True
        asked = self._asked.get(shown)
        if asked is not None and asyncio.get_running_loop().time() - asked < _ASKED_SECONDS:
            return True
        if len(self._waiting) >= _MOST_WAITING:
            return False
        return not isinstance(await self._settle(shown, through), NoAnswer) or key_hash in self._holding

    async def _settle(self, shown: bytes, through: tuple[str, ...] = ()) -> Standing:
        """Ask about a key, once for all who wait for it, and act on what is said."""
        waiting = self._waiting.get(shown)
        if waiting is None:
            loop = asyncio.get_running_loop()
            asked = loop.run_in_executor(self._thread, self._ask, shown, (*through, self._name))
            waiting = self._waiting[shown] = asyncio.ensure_future(asked)
            waiting.add_done_callback(lambda _: self._waiting.pop(shown, None))
        standing = await asyncio.shield(waiting)
        self._act(shown, standing)
        return standing

    def _act(self, shown: bytes, standing: Standing) -> None:
        key_hash = _hash(shown)
        known = self._holding.get(key_hash)
        if standing.relays or not isinstance(standing, NoAnswer):
            self._follow(standing.relays)
        match standing:
            case Holds(environment=environment) if shown and self._is_open_to(environment):
                # Any key holds there, so that there is nothing to remember of this one.
                self._note(shown)
            case Holds(environment=environment):
                grant = Grant(key_id=key_hash[:16], environment=environment)
                self._asked.pop(shown, None)
                if known is None or known[0] != grant:
                    self._holding[key_hash] = grant, shown
                    self._tell()
            case DoesNotHold():
                if not shown:
                    # What was as good as no key must be asked about now.
                    self._asked.clear()
                self._note(shown)
                self._remembered.pop(key_hash, None)
                if known is not None:
                    del self._holding[key_hash]
                    self._tell()
            case NoAnswer() if known is None and key_hash in self._remembered:
                self._holding[key_hash] = Grant(key_id=key_hash[:16], environment=self._remembered[key_hash]), shown
                self._tell()

    def _is_open_to(self, environment: str) -> bool:
        unkeyed = self._holding.get("")
        return unkeyed is not None and unkeyed[0].environment == environment

    def _note(self, shown: bytes) -> None:
        """It was asked about a moment ago, and needs no entry of its own."""
        self._asked[shown] = asyncio.get_running_loop().time()
        self._asked.move_to_end(shown)
        if len(self._asked) > _MOST_ASKED:
            self._asked.popitem(last=False)

    def _tell(self) -> None:
        """These keys hold from now on."""
        unkeyed = self._holding.get("")
        self._keys.replace(
            {key_hash: grant for key_hash, (grant, _) in self._holding.items() if key_hash},
            unkeyed=None if unkeyed is None else unkeyed[0].environment,
        )
        self._remembered |= {key_hash: grant.environment for key_hash, (grant, _) in self._holding.items()}
        if self._memory is not None:
            with suppress(OSError):
                keep_last_known_good(self._memory, json.dumps(self._remembered).encode())

    def _follow(self, relays: tuple[str, ...], *, met_itself: bool = False) -> None:
        was_circular = self.is_circular
        self._relays = relays
        if met_itself:
            self._met_itself = time.monotonic()
        if self.is_circular and not was_circular:
            _log.error("action=relay_loop relays=%s: nothing is served until that ends", ",".join(relays))

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            for shown in {b"", *(shown for _, shown in self._holding.values())}:
                if isinstance(await self._settle(shown), NoAnswer):
                    # Nor will it say about others now, and each would have to wait for a time-out.
                    break


def _hash(shown: bytes) -> str:
    return hash_of(key_in(shown)) if shown else ""


def _read(memory: Path | None) -> dict[str, str]:
    """Hashes of keys and their environments; none where there is nothing of use."""
    if memory is None:
        return {}
    try:
        kept = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in kept.items()} if isinstance(kept, dict) else {}
