"""The background thread that keeps a client's ruleset fresh, and says so once when it cannot.

It looks, and while the look finds all well it listens to a stream of changes; where streams do not get through, it
looks again and again.
"""

import json
import os
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
from wavegate.client.events import Event, EventParser, TooLong
from wavegate.client.following import SILENT_BEATS, Streams
from wavegate.client.local import keep_last_known_good
from wavegate.client.log import log
from wavegate.client.transport import Fetched, Listening, NoStream, NotModified, Refused, Transport, Unavailable
from wavegate.client.worker import Worker, at_random, jittered
from wavegate.evaluation import InvalidRuleset, Ruleset, ruleset_from_json
from wavegate.evaluation.deltas import DeltaMismatch, apply_delta, document_hash

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

#: Takes a ruleset into use, and its bytes. False when it is older than the one in use and that was not announced.
Offer: TypeAlias = Callable[[Ruleset, bool, bytes], bool]


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

    Attributes:
        is_streaming: whether changes are pushed to us now.
    """

    def __init__(
        self, config: Config, *, offer: Offer, confirm: Callable[[], None], looked: Callable[[bool], None]
    ) -> None:
        self.is_streaming = False
        self._config = config
        self._offer = offer
        self._confirm = confirm
        self._looked = looked
        self._worker = Worker("wavegate-poller", self._step)
        self._streams = Streams(wanted=config.stream)
        self._condition: Condition | None = None
        self._said: dict[Condition, float] = {}
        self._told_trouble = False
        self._cache_failed = False
        self._etag: str | None = None
        #: The bytes that deltas apply to, and when they came into use.
        self._document: bytes | None = None
        self._in_use_since = 0.0
        self._revision = 0
        self._failures = 0
        self._connect()

    @property
    def instance(self) -> str:
        """By which the controller knows this client."""
        return self._instance

    @property
    def is_refused(self) -> bool:
        """Whether the SDK key was not accepted when last shown."""
        return self._condition is Condition.REFUSED

    def start(self, *, urgent: bool) -> None:
        """Begins without waiting for anything; `urgent` when there is no ruleset yet to answer from."""
        self._worker.start(at_random(self._config.poll_interval * (_FIRST_LOOK if urgent else 1)))

    def stop(self) -> None:
        """Ends the thread; a request under way is given a second, then left to end by its timeout."""
        self._transport.interrupt()
        if self._worker.stop(_PATIENCE_AT_CLOSE):
            self._transport.close()

    def after_fork(self) -> None:
        """In a forked child: a thread and a connection of its own, at a moment of its own."""
        self._transport.abandon()
        self._connect()
        self._streams.after_fork()
        self.is_streaming = False
        self._worker.start_again(at_random(self._config.poll_interval))

    def _connect(self) -> None:
        self._transport = Transport(self._config)
        self._instance = os.urandom(16).hex()
        self._transport.identify(self._instance)

    def _step(self) -> float:
        """Looks once, and listens as long as that goes well; answers the seconds until the next look."""
        try:
            delay = self._look()
            if self._condition is Condition.FRESH and self._streams.are_due:
                self._looked(True)
                delay = self._listen(delay)
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
                return self._refused(status)
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
        if not self._offer(ruleset, fetched.rollback_allowed, fetched.body):
            self._report(
                Condition.OLDER, f"the controller offers revision {ruleset.revision}, older than the one in use"
            )
            return jittered(self._config.poll_interval)
        self._etag = fetched.etag
        self._document, self._revision, self._in_use_since = fetched.body, ruleset.revision, monotonic()
        self._keep(fetched.body)
        return self._fresh()

    def _listen(self, delay: float) -> float:
        """Listens until the stream ends; answers as `_step`."""
        document = b"" if self._document is None else self._document
        match self._transport.listen(f"{self._revision}-{document_hash(document)}"):
            case Listening() as stream:
                try:
                    return self._follow(stream)
                finally:
                    self.is_streaming = False
                    self._transport.stop_listening()
            case Refused(status=status):
                return self._refused(status)
            case Unavailable():
                # The next look will say so.
                return self._streams.lost(None)
            case NoStream(problem=problem, retry_after=retry_after):
                self._no_streams(problem, retry_after)
        return delay

    def _follow(self, stream: Listening) -> float:
        parser = EventParser()
        self._streams.opened(stream.heartbeat)
        timeout = self._config.timeout
        while True:
            try:
                piece = stream.read(timeout)
                events = parser.feed(piece)
            except TimeoutError:
                self._no_streams("nothing came through it", None)
                return jittered(self._config.poll_interval)
            except TooLong:
                piece = b""
            if not piece:
                return self._streams.lost(parser.retry)
            # The first sign comes at once, unless something on the way keeps it; later ones with the heartbeat.
            self.is_streaming = True
            timeout = stream.heartbeat * SILENT_BEATS
            self._streams.heard()
            for event in events:
                delay = self._hear(event, rollback_allowed=stream.rollback_allowed)
                if delay is not None:
                    return delay

    def _hear(self, event: Event, *, rollback_allowed: bool) -> float | None:
        """What one event brings; the seconds until the next look if the stream is of no more use."""
        document = event.data
        if event.name == "delta" and self._document is not None:
            try:
                document = apply_delta(self._document, event.data)
            except DeltaMismatch as mismatch:
                log().warning("a delta did not fit: %s", mismatch, extra={"action": "delta_mismatch"})
                # Without an ETag the next look fetches the ruleset whole.
                self._etag = None
                return at_random(self._config.poll_interval)
        elif event.name != "ruleset":
            # Whatever it is, it was sent after all there was before it, so that what we have is the newest.
            self._fresh()
            if event.name == "acknowledge":
                self._acknowledge()
            return None
        etag = f'"{document_hash(document)}"'
        delay = self._take(Fetched(body=document, etag=etag, rollback_allowed=rollback_allowed))
        return None if self._condition is Condition.FRESH else delay

    def _acknowledge(self) -> None:
        held = round(monotonic() - self._in_use_since, 6)
        client = {"instance": self._instance, "revision": self._revision, "held_seconds": held}
        self._transport.acknowledge(json.dumps({"schema": 1, "clients": [client]}).encode())

    def _no_streams(self, problem: str, retry_after: float | None) -> None:
        if not self._streams.are_refused:
            log().info("polls, because streams do not get through: %s", problem, extra={"action": "stream_unavailable"})
        self._streams.refused(retry_after)

    def _refused(self, status: int) -> float:
        self._report(Condition.REFUSED, f"the controller answered {status}: check sdk_key")
        return jittered(max(self._config.poll_interval, _AFTER_REFUSAL))

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
