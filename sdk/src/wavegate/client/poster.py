"""The background thread that posts counts to the controller, for apps that nobody scrapes."""

import threading
from typing import Final

from wavegate.client.batches import Batches
from wavegate.client.clock import monotonic
from wavegate.client.config import Config
from wavegate.client.counters import Counters
from wavegate.client.log import log
from wavegate.client.transport import Accepted, Delivery, Refused, Rejected, Transport, Unavailable
from wavegate.client.worker import Worker, at_random, jittered

_LONGEST_BACK_OFF: Final = 60.0
_PATIENCE_AT_CLOSE: Final = 2.0


class Poster:
    """Posts until stopped. Counts wait in their cells while the controller is away, so waiting costs no memory.

    A document is posted until the controller has said that it arrived, under the same number: at least once,
    and counted once.
    """

    def __init__(self, config: Config, counters: Counters) -> None:
        self._config = config
        self._batches = Batches(counters)
        self._worker = Worker("wavegate-poster", self._step)
        self._failures = 0
        self._is_refused = False
        self._make()

    def start(self) -> None:
        """Begins at a moment of its own."""
        self._worker.start(at_random(self._config.post_interval))

    def stop(self) -> None:
        """Ends the thread and posts what is left, in two seconds at most."""
        deadline = monotonic() + _PATIENCE_AT_CLOSE
        if self._worker.stop(_PATIENCE_AT_CLOSE):
            self.flush(deadline - monotonic())
            self._transport.close()

    def flush(self, patience: float = _PATIENCE_AT_CLOSE) -> None:
        """Posts what is left, unless it takes longer."""
        deadline = monotonic() + patience
        if not self._sending.acquire(timeout=max(patience, 0)):
            return
        try:
            while (left := deadline - monotonic()) > 0 and (document := self._batches.pending()) is not None:
                if not self._settle(self._transport.send(document, timeout=min(left, self._config.timeout) / 2)):
                    return
        finally:
            self._sending.release()

    def after_fork(self) -> None:
        """In a forked child: an instance of its own."""
        self._transport.abandon()
        self._make()
        self._batches.after_fork()
        self._worker.start_again(at_random(self._config.post_interval))

    def abandon(self) -> None:
        """In a forked child that makes its own: closes its copies of the parent's connections."""
        self._transport.abandon()

    def _make(self) -> None:
        self._transport = Transport(self._config)
        self._sending = threading.Lock()

    def _step(self) -> float:
        try:
            with self._sending:
                while (document := self._batches.pending()) is not None:
                    outcome = self._transport.send(document)
                    if not self._settle(outcome):
                        return self._later(outcome)
        except Exception:  # noqa: BLE001 # the edge of the loop: a dead poster would be silent
            if not self._failures:
                log().exception("posting counts failed", extra={"action": "poster_broken"})
            self._failures += 1
            return _LONGEST_BACK_OFF
        return jittered(self._config.post_interval)

    def _settle(self, outcome: Delivery) -> bool:
        """Whether that document is done with."""
        match outcome:
            case Accepted():
                self._failures = 0
                self._batches.settle()
                return True
            case Rejected(status=status):
                # Kept, it would be rejected for ever, and everything after it would wait.
                log().warning(
                    "the controller rejected counts (%d); they are lost", status, extra={"action": "counts_lost"}
                )
                self._batches.settle()
                return False
            case Refused(status=status):
                self._complain(f"it answered {status}: check sdk_key")
            case Unavailable(problem=problem):
                self._complain(problem)
        return False

    def _complain(self, problem: str) -> None:
        if not self._failures:
            log().warning("counts wait for the controller: %s", problem, extra={"action": "counts_waiting"})
        self._failures += 1

    def _later(self, outcome: Delivery) -> float:
        interval = self._config.post_interval
        rest = min(getattr(outcome, "retry_after", None) or 0.0, _LONGEST_BACK_OFF)
        back_off = min(interval * 2.0 ** min(self._failures, 16), max(interval, _LONGEST_BACK_OFF))
        return max(jittered(back_off), rest + at_random(interval))
