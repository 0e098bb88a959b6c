"""The background thread that keeps a client's ruleset fresh, and says so once when it cannot."""

import logging
import random
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from wavegate.client.config import Config
from wavegate.client.local import keep_last_known_good
from wavegate.evaluation import InvalidRuleset, Ruleset, ruleset_from_json

if TYPE_CHECKING:
    from wavegate.client.transport import Fetched, Transport

_log = logging.getLogger("wavegate")

_LONGEST_BACK_OFF: Final = 15.0
_AFTER_REFUSAL: Final = 30.0
_PATIENCE_AT_CLOSE: Final = 1.0

#: Takes a ruleset into use. False when it is older than the one in use and that was not announced.
Offer: TypeAlias = Callable[[Ruleset, bool], bool]


class Condition(StrEnum):
    """How the last look at the controller went; a change of it is worth one log line."""

    #: A ruleset arrived, or the one in use was confirmed.
    FRESH = "ruleset_fresh"
    #: No usable answer.
    UNAVAILABLE = "controller_unavailable"
    #: The SDK key was not accepted.
    REFUSED = "sdk_key_refused"
    #: What arrived is no valid ruleset.
    MALFORMED = "ruleset_malformed"
    #: What arrived is older than what is in use.
    OLDER = "ruleset_older"
    #: A mistake of ours.
    BROKEN = "poller_broken"


class Poller:
    """Polls until stopped. Whatever happens, the ruleset in use stays until a better one arrives."""

    def __init__(self, config: Config, *, offer: Offer, confirm: Callable[[], None]) -> None:
        self._config = config
        self._offer = offer
        self._confirm = confirm
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wavegate-poller", daemon=True)
        self._condition: Condition | None = None
        self._cache_failed = False
        self._etag: str | None = None
        self._failures = 0

    def start(self) -> None:
        """Begins at once, without waiting for anything."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; a request under way is given a second, then left to end by its timeout."""
        self._stopped.set()
        if self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE_AT_CLOSE)

    def _run(self) -> None:
        # Imported here: requests costs more than the rest of the SDK, and only pollers need it.
        from wavegate.client.transport import Transport  # noqa: PLC0415

        transport = Transport(self._config)
        try:
            delay = self._poll(transport)
            while not self._stopped.wait(delay):
                delay = self._poll(transport)
        finally:
            transport.close()

    def _poll(self, transport: "Transport") -> float:
        """Looks once; answers the seconds until the next look."""
        try:
            return self._look(transport)
        except Exception:  # noqa: BLE001 # the edge of the loop: a dead poller would be silent
            self._failures += 1
            if self._condition is not Condition.BROKEN:
                _log.exception("polling failed; the ruleset in use stays", extra={"action": Condition.BROKEN})
            self._condition = Condition.BROKEN
            return self._back_off()

    def _look(self, transport: "Transport") -> float:
        from wavegate.client.transport import Fetched, NotModified, Refused, Unavailable  # noqa: PLC0415

        match transport.fetch(self._etag):
            case NotModified():
                return self._fresh()
            case Fetched() as fetched:
                return self._take(fetched)
            case Refused(status=status):
                self._report(Condition.REFUSED, f"the controller answered {status}: check sdk_key")
                return max(self._config.poll_interval, _AFTER_REFUSAL) * _jitter()
            case Unavailable(problem=problem):
                self._failures += 1
                self._report(Condition.UNAVAILABLE, f"the controller at {self._config.url} is not available: {problem}")
                return self._back_off()

    def _take(self, fetched: "Fetched") -> float:
        try:
            ruleset = ruleset_from_json(fetched.body)
        except InvalidRuleset as refused:
            self._failures += 1
            self._report(Condition.MALFORMED, f"the controller's ruleset was refused: {refused}")
            return self._back_off()
        if not self._offer(ruleset, fetched.rollback_allowed):
            self._report(
                Condition.OLDER, f"the controller offers revision {ruleset.revision}, older than the one in use"
            )
            return self._config.poll_interval * _jitter()
        self._etag = fetched.etag
        self._keep(fetched.body)
        return self._fresh()

    def _fresh(self) -> float:
        self._failures = 0
        self._confirm()
        if self._condition not in (None, Condition.FRESH):
            _log.info("the controller's ruleset is in use again", extra={"action": Condition.FRESH})
        self._condition = Condition.FRESH
        return self._config.poll_interval * _jitter()

    def _keep(self, document: bytes) -> None:
        if self._config.cache_path is None:
            return
        try:
            keep_last_known_good(self._config.cache_path, document)
            self._cache_failed = False
        except OSError as problem:
            if not self._cache_failed:
                _log.warning("the ruleset was not kept on disk: %s", problem, extra={"action": "cache_not_written"})
            self._cache_failed = True

    def _report(self, condition: Condition, message: str) -> None:
        if condition is not self._condition:
            _log.warning("%s; the ruleset in use stays", message, extra={"action": condition})
        self._condition = condition

    def _back_off(self) -> float:
        interval = self._config.poll_interval
        # The exponent is bounded so that years of outage do not overflow a float.
        return min(interval * 2.0 ** min(self._failures, 16), max(interval, _LONGEST_BACK_OFF)) * _jitter()


def _jitter() -> float:
    """Spreads the clients of a controller that comes back, so that they do not all knock at once."""
    return random.uniform(0.75, 1.25)  # noqa: S311 # nothing secret here
