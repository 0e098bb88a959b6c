"""The client: what an app asks. It answers from memory; a thread keeps the memory fresh."""

import copy
import logging
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from wavegate.client.clock import monotonic
from wavegate.client.config import Config, check_seconds
from wavegate.client.local import Source, read_last_known_good, read_ruleset
from wavegate.client.poller import Poller
from wavegate.client.snapshot import Answer, Snapshot, take_snapshot
from wavegate.client.trial import Trial
from wavegate.evaluation import COHORTS, EvaluationDetails, Ruleset
from wavegate.evaluation.details import ErrorCode
from wavegate.evaluation.evaluate import Attributes, failure, finish, fits, no_flag

if TYPE_CHECKING:
    from wavegate.client.metrics import Registry

T = TypeVar("T")

_log = logging.getLogger("wavegate")


class Client:
    """Feature flags for one app, decided locally.

    Making one never waits for the controller and never fails because it is away: until a ruleset
    arrives, answers are the last known good ruleset (`cache_path`), else `bootstrap`, else the
    defaults in the code. Asking never raises and never waits. Use one client for the whole app;
    it is safe to share between threads.

    Raises:
        ConfigError: an argument makes no sense.
        InvalidRuleset: `bootstrap` is no ruleset.
        OSError: `bootstrap` is a file that cannot be read.
    """

    def __init__(
        self,
        url: str,
        sdk_key: str | None = None,
        *,
        registry: "Registry | None" = None,
        poll_interval: float = 1.0,
        timeout: float = 5.0,
        cache_path: str | Path | None = None,
        bootstrap: Source | None = None,
    ) -> None:
        config = Config(
            url=url,
            sdk_key=sdk_key,
            poll_interval=poll_interval,
            timeout=timeout,
            cache_path=None if cache_path is None else Path(cache_path),
        )
        # Read even when the cache wins: a mistake in it should not wait for the day it is needed.
        first = None if bootstrap is None else read_ruleset(bootstrap)
        if config.cache_path is not None:
            first = read_last_known_good(config.cache_path) or first
        self._set_up(registry, first, made=monotonic())
        self._poller = Poller(config, offer=self._offer, confirm=self._confirm)
        self._poller.start()

    @classmethod
    def offline(cls, ruleset: Source, *, registry: "Registry | None" = None) -> Self:
        """A client that needs no controller and starts no thread.

        Takes a Ruleset, parsed JSON, JSON text, or a path.
        """
        client = cls.__new__(cls)
        client._set_up(registry, read_ruleset(ruleset), made=None)  # noqa: SLF001 # another constructor, no other class
        return client

    _poller: Poller | None = None

    def _set_up(self, registry: "Registry | None", first: Ruleset | None, *, made: float | None) -> None:
        # Imported here: prometheus_client is wanted by apps with a client, not by whoever imports wavegate.
        from wavegate.client.metrics import counters_in  # noqa: PLC0415

        self._counters = counters_in(registry)
        self._confirmed = made
        self._listeners: list[Callable[[Ruleset], None]] = []
        self._ready = threading.Event()
        self._ruleset: Ruleset | None = None
        self._flags: Snapshot = {}
        self._unknown = Answer(failure("", ErrorCode.FLAG_NOT_FOUND, "the ruleset has no such flag"), self._counters)
        if first is not None:
            self._use(first)
        self._counters.attach(self)

    def is_enabled(self, flag_key: str, targeting_key: str | None, /, **attributes: Any) -> bool:
        """Whether the flag's variant for this key is the boolean true; False whenever that cannot be said."""
        try:
            answer = self._flags[flag_key].choose(targeting_key, attributes)
        except Exception:  # noqa: BLE001 # unknown, or no key at all: whatever was passed, asking never raises
            answer = self._unknown
        answer.enabled_cell[0] += 1
        return answer.enabled

    def value(self, flag_key: str, targeting_key: str | None, /, default: T, **attributes: Any) -> T:
        """The variant's value if it is of the default's type, else the default.

        Objects and lists are copies: changing them changes nothing for the next caller.
        """
        answer, _ = self._ask(flag_key, targeting_key, attributes)
        return _value(answer, default)

    def details(
        self, flag_key: str, targeting_key: str | None, /, default: Any = None, **attributes: Any
    ) -> EvaluationDetails:
        """The value with its grounds: variant, reason, error code, cohort."""
        answer, cohort = self._ask(flag_key, targeting_key, attributes)
        value = _value(answer, default)
        if answer is self._unknown:
            return no_flag(flag_key, default, ready=self._ruleset is not None)
        return replace(finish(answer.details, default, cohort), value=value)

    def trial(
        self,
        flag_key: str,
        targeting_key: str | None,
        /,
        *,
        default: Any = None,
        slow_after: float | None = None,
        **attributes: Any,
    ) -> Trial:
        """One request under the flag, for a `with` block that counts how it ended.

        Raises:
            ConfigError: `slow_after` is no number of seconds.
        """
        if slow_after is not None:
            check_seconds("slow_after", slow_after)
        answer, cohort = self._ask(flag_key, targeting_key, attributes)
        served = answer.arm is not None and fits(answer.details.value, default)
        return Trial(
            enabled=served and answer.enabled,
            value=_value(answer, default),
            variant=answer.details.variant if served else None,
            arm=answer.arm if served else None,
            # Who has no key is nobody's second request: by chance such requests spread as strangers do.
            cohort=random.randrange(COHORTS) if cohort is None else cohort,  # noqa: S311 # nothing secret here
            slow_after=slow_after,
        )

    @property
    def revision(self) -> int | None:
        """The revision of the ruleset in use; None before there is one."""
        return None if self._ruleset is None else self._ruleset.revision

    @property
    def age(self) -> float | None:
        """Seconds since the controller last confirmed the ruleset, or since the client was made; None offline."""
        return None if self._confirmed is None else monotonic() - self._confirmed

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Waits until a ruleset is in use, from wherever; False if the time ran out first."""
        return self._ready.wait(timeout)

    def on_change(self, listener: Callable[[Ruleset], None]) -> None:
        """Calls the listener, on the polling thread, with every ruleset that is taken into use from now on."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Stops polling. The client goes on answering from what it has."""
        self._counters.detach(self)
        if self._poller is not None:
            self._poller.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, flag_key: str, targeting_key: str | None, attributes: Attributes) -> tuple[Answer, int | None]:
        try:
            flag = self._flags[flag_key]
        except Exception:  # noqa: BLE001 # as in is_enabled
            return self._unknown, None
        return flag.choose(targeting_key, attributes), flag.cohort(targeting_key, attributes)

    def _offer(self, ruleset: Ruleset, rollback_allowed: bool) -> bool:
        in_use = self._ruleset
        # Revisions are counted within an environment: what a cache kept of another one is no measure.
        if in_use is not None and ruleset.environment == in_use.environment:
            if ruleset.revision < in_use.revision and not rollback_allowed:
                return False
            if ruleset == in_use:
                return True
        self._use(ruleset)
        for listener in list(self._listeners):
            try:
                listener(ruleset)
            except Exception:  # noqa: BLE001 # the app's code must not end our polling
                _log.exception("a listener failed", extra={"action": "listener_failed"})
        return True

    def _use(self, ruleset: Ruleset) -> None:
        self._flags = take_snapshot(ruleset, self._counters)
        self._ruleset = ruleset
        self._ready.set()

    def _confirm(self) -> None:
        self._confirmed = monotonic()


def _value(answer: Answer, default: T) -> T:
    """The value to hand out, counted as what it turned out to be."""
    value: T = answer.details.value
    if answer.arm is None or not fits(value, default):
        answer.error_cell[0] += 1
        return default
    answer.cell[0] += 1
    return copy.deepcopy(value) if type(value) in (dict, list) else value
