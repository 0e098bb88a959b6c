"""The background thread that keeps a client's ruleset fresh, and says so once when it cannot."""

from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeAlias

# What some ruleset may need one day. It is imported now, because the thread must not import anything: see client.py.
import wavegate.evaluation.deltas
import wavegate.evaluation.instants
import wavegate.evaluation.pattern
import wavegate.evaluation.semver  # noqa: F401 # as above
from wavegate.client.clock import monotonic
from wavegate.client.config import Config
from wavegate.client.local import keep_last_known_good
from wavegate.client.log import log
from wavegate.client.transport import Fetched, NotModified, Refused, Transport, Unavailable
from wavegate.client.worker import Worker, at_random, jittered
from wavegate.evaluation import InvalidRuleset, Ruleset, ruleset_from_json

# After an outage the first look must not be late: a rollback may be waiting for it. Four intervals spare a controller
# in trouble three quarters of the requests, and keep the delay at five seconds for the interval of one.
_LONGEST_BACK_OFF: Final = 4
# A refused key is asked about again, though seldom: whoever mends it at the controller, or rolls back a proxy that
# lost it, should not have to restart every app, least of all during a rollback.
_AFTER_REFUSAL: Final = 30.0
# A controller may ask for rest, but not for so much that a kill switch would not get through.
_LONGEST_REST: Final = 30.0
# One line for each condition in this time, however often it comes and goes.
_SILENCE: Final = 60.0
_PATIENCE_AT_CLOSE: Final = 1.0
# Of those who start together without any ruleset, within so much of the interval; they need one soon.
_FIRST_LOOK: Final = 0.1

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
    """Polls until stopped. Whatever happens, the ruleset in use stays until a better one arrives.

    `looked` is called after each look, with whether the controller answered.
    """

    def __init__(
        self, config: Config, *, offer: Offer, confirm: Callable[[], None], looked: Callable[[bool], None]
    ) -> None:
        self._config = config
        self._offer = offer
        self._confirm = confirm
        self._looked = looked
        self._transport = Transport(config)
        self._worker = Worker("wavegate-poller", self._step)
        self._condition: Condition | None = None
        self._said: dict[Condition, float] = {}
        self._told_trouble = False
        self._cache_failed = False
        self._etag: str | None = None
        self._failures = 0

    def start(self, *, urgent: bool) -> None:
        """Begins without waiting for anything; `urgent` when there is no ruleset yet to answer from."""
        self._worker.start(at_random(self._config.poll_interval * (_FIRST_LOOK if urgent else 1)))

    def stop(self) -> None:
        """Ends the thread; a request under way is given a second, then left to end by its timeout."""
        if self._worker.stop(_PATIENCE_AT_CLOSE):
            self._transport.close()

    def after_fork(self) -> None:
        """In a forked child: a thread and a connection of its own, at a moment of its own."""
        self._transport.abandon()
        self._transport = Transport(self._config)
        self._worker.start_again(at_random(self._config.poll_interval))

    def _step(self) -> float:
        """Looks once; answers the seconds until the next look."""
        try:
            delay = self._look()
        except Exception:  # noqa: BLE001 # the edge of the loop: a dead poller would be silent
            self._failures += 1
            if self._may_say(Condition.BROKEN):
                log().exception("polling failed; the ruleset in use stays", extra={"action": Condition.BROKEN})
            self._condition = Condition.BROKEN
            delay = self._back_off()
        self._looked(self._condition is Condition.FRESH)
        return delay

    def _look(self) -> float:
        match self._transport.fetch(self._etag):
            case NotModified():
                return self._fresh()
            case Fetched() as fetched:
                return self._take(fetched)
            case Refused(status=status):
                self._report(Condition.REFUSED, f"the controller answered {status}: check sdk_key")
                return jittered(max(self._config.poll_interval, _AFTER_REFUSAL))
            case Unavailable(problem=problem, retry_after=retry_after):
                self._failures += 1
                self._report(Condition.UNAVAILABLE, f"the controller at {self._config.url} is not available: {problem}")
                # Later than asked for, never earlier, so that those who were told the same come one by one.
                rest = min(retry_after or 0.0, _LONGEST_REST)
                return max(self._back_off(), rest + at_random(self._config.poll_interval))

    def _take(self, fetched: Fetched) -> float:
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
            return jittered(self._config.poll_interval)
        self._etag = fetched.etag
        self._keep(fetched.body)
        return self._fresh()

    def _fresh(self) -> float:
        self._failures = 0
        self._confirm()
        if self._told_trouble:
            log().info("the controller's ruleset is in use again", extra={"action": Condition.FRESH})
        self._told_trouble = False
        self._condition = Condition.FRESH
        return jittered(self._config.poll_interval)

    def _keep(self, document: bytes) -> None:
        if self._config.cache_path is None:
            return
        try:
            keep_last_known_good(self._config.cache_path, document)
            self._cache_failed = False
        except OSError as problem:
            if not self._cache_failed:
                log().warning("the ruleset was not kept on disk: %s", problem, extra={"action": "cache_not_written"})
            self._cache_failed = True

    def _report(self, condition: Condition, message: str) -> None:
        if self._may_say(condition):
            log().warning("%s; the ruleset in use stays", message, extra={"action": condition})
            self._told_trouble = True
        self._condition = condition

    def _may_say(self, condition: Condition) -> bool:
        """Whether it is news: not what the last look said as well, nor what was said a moment ago."""
        if condition is self._condition:
            return False
        last, now = self._said.get(condition), monotonic()
        if last is not None and now - last < _SILENCE:
            return False
        self._said[condition] = now
        return True

    def _back_off(self) -> float:
        # The exponent is bounded so that years of outage do not overflow a float.
        return jittered(self._config.poll_interval * min(2.0 ** min(self._failures, 16), _LONGEST_BACK_OFF))
