"""The client: what an app asks. It answers from memory; a thread keeps the memory fresh."""

from __future__ import annotations

import threading

from wavegate.client import process
from wavegate.client.attributes import NO_ATTRIBUTES, both
from wavegate.client.checks import ConfigError, check_seconds, read_caps
from wavegate.client.clock import monotonic, now
from wavegate.client.counters import LONGEST_COMMENT, TARGETED, BadKind, Comment, Counters, ValueKind
from wavegate.client.log import log
from wavegate.client.trial import Trial
from wavegate.evaluation.bucketing import COHORTS
from wavegate.evaluation.fitting import fits

TYPE_CHECKING = False  # as in wavegate/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Any, Concatenate, ParamSpec, Self, TypeVar

    from wavegate.client.config import Config
    from wavegate.client.counters import Arm, Cell
    from wavegate.client.local import Source
    from wavegate.client.metrics import Registry
    from wavegate.client.poller import Poller
    from wavegate.client.poster import Poster
    from wavegate.client.snapshot import Answer, Snapshot, Switch
    from wavegate.client.words import Words
    from wavegate.evaluation import EvaluationDetails, Ruleset
    from wavegate.evaluation.matching import Attributes

    T = TypeVar("T")
    P = ParamSpec("P")
    R = TypeVar("R")


class Client:
    """Feature flags for one app, decided locally.

    Making one never waits for the controller and never fails because it is away: until a ruleset
    arrives, answers are the last known good ruleset (`cache_path`), else `bootstrap`, else the
    defaults in the code. Asking never raises and never waits, in asyncio neither. Use one client for
    the whole app; it is safe to share between threads. In a forked child it goes on by itself, with a
    thread of its own and its counts at 0.

    What is known of whoever asks, their attributes, is a mapping after the targeting key, or after the
    default where there is one, or `attributes=`; or keyword arguments; or both, and then those hold.
    An app that has a mapping anyway should pass it: that costs less than naming each.

    Args:
        url: the controller.
        sdk_key: shown once when it was made; reads one environment.
        registry: of prometheus_client, where the counts appear; the default one if None.
        poll_interval: seconds between two looks at the controller, give or take a quarter.
        timeout: seconds to wait for a connection, and for each part of an answer.
        cache_path: a file for the last known good ruleset. Several processes may share it.
        bootstrap: a ruleset to begin with when there is nothing in the cache.
        stale_after: after so many seconds without word from the controller, flags with the policy
            `stale: default` answer their default variant.
        post_counts: hand counts to the controller instead of a registry, for apps that nobody scrapes.
        post_interval: seconds between two posts.
        value_caps: the most that one request adds to `cost_usd`, `tokens`, `seconds`, `custom`.
        stream: let the controller push changes, and poll only where that does not get through; False polls always.
        app_name: shown where the controller lists its clients.

    Raises:
        ConfigError: an argument makes no sense.
        InvalidRuleset: `bootstrap` is no ruleset.
        OSError: `bootstrap` is a file that cannot be read.
    """

    def __init__(  # noqa: PLR0913 # settings, nearly always left out
        self,
        url: str,
        sdk_key: str | None = None,
        *,
        registry: Registry | None = None,
        poll_interval: float = 1.0,
        timeout: float = 5.0,
        cache_path: str | Path | None = None,
        bootstrap: Source | None = None,
        stale_after: float = 300.0,
        post_counts: bool = False,
        post_interval: float = 5.0,
        value_caps: Mapping[str, float] | None = None,
        stream: bool = True,
        app_name: str | None = None,
    ) -> None:
        # Imported here, because they cost more than the rest of the SDK and only whoever polls needs them; and not by
        # the thread, because a fork in the middle of an import leaves a child that can never import it.
        from pathlib import Path  # noqa: PLC0415

        from wavegate.client.config import Config  # noqa: PLC0415
        from wavegate.client.local import read_last_known_good, read_ruleset  # noqa: PLC0415
        from wavegate.client.poller import Poller  # noqa: PLC0415

        config = Config(
            url=url,
            sdk_key=sdk_key,
            poll_interval=poll_interval,
            timeout=timeout,
            cache_path=None if cache_path is None else Path(cache_path),
            stale_after=stale_after,
            post_interval=post_interval,
            stream=stream,
            app_name=app_name,
        )
        if post_counts and registry is not None:
            raise ConfigError("registry: would show the counts that post_counts hands over; give one of the two")
        caps = read_caps(value_caps)
        # Read even when the cache wins: a mistake in it should not wait for the day it is needed.
        first = None if bootstrap is None else read_ruleset(bootstrap)
        if config.cache_path is not None:
            first = read_last_known_good(config.cache_path) or first
        self._set_up(Counters() if post_counts else _counters_in(registry), caps, first, made=monotonic())
        if app_name is not None:
            self._counters.apps[app_name] = None
        self._config = config
        self._stale_after = config.stale_after
        self._wants_stream = config.stream
        self._poller = Poller(config, offer=self._offer, confirm=self._confirm, looked=self._looked)
        if post_counts:
            from wavegate.client.poster import Poster  # noqa: PLC0415

            self._poster = Poster(config, self._counters)
            process.adopt(self._counters)
        else:
            from wavegate.client.words import Words  # noqa: PLC0415

            self._words = Words(config)
        process.adopt(self)
        self._poller.start(urgent=first is None)
        if self._poster is not None:
            self._poster.start()

    @classmethod
    def offline(
        cls,
        ruleset: Source,
        *,
        registry: Registry | None = None,
        value_caps: Mapping[str, float] | None = None,
    ) -> Self:
        """A client that needs no controller and starts no thread.

        Takes a Ruleset, parsed JSON, JSON text, or a path.
        """
        from wavegate.client.local import read_ruleset  # noqa: PLC0415 # as above

        client = cls.__new__(cls)
        client._set_up(_counters_in(registry), read_caps(value_caps), read_ruleset(ruleset), made=None)  # noqa: SLF001 # another constructor
        return client

    _config: Config | None = None
    _poller: Poller | None = None
    _poster: Poster | None = None
    _words: Words | None = None
    _stale_after = float("inf")
    _wants_stream = False

    def _set_up(
        self, counters: Counters, caps: Mapping[str, float], first: Ruleset | None, *, made: float | None
    ) -> None:
        from wavegate.client.snapshot import Answer, Snapshot  # noqa: PLC0415 # as above
        from wavegate.evaluation.answering import failure  # noqa: PLC0415
        from wavegate.evaluation.details import ErrorCode  # noqa: PLC0415

        self._counters = counters
        self._caps = caps
        self._confirmed = made
        self._is_connected = False
        self._listeners: list[Callable[[Ruleset], None]] = []
        self._ready = threading.Event()
        self._unknown = Answer(failure("", ErrorCode.FLAG_NOT_FOUND, "the ruleset has no such flag"), counters)
        self._use(Snapshot(first, counters))
        counters.attach(self)

    def is_enabled(
        self, flag_key: str, targeting_key: str | None, attributes: Attributes = NO_ATTRIBUTES, /, **named: Any
    ) -> bool:
        """Whether the flag's variant for this key is the boolean true; False whenever that cannot be said."""
        try:
            if named:
                attributes = both(attributes, named) if attributes or "attributes" in named else named
            cell, enabled = self._switches[flag_key](targeting_key, attributes)
        except Exception:  # noqa: BLE001 # first asked, or unknown, or no key at all: asking never raises
            cell, enabled = self._flip(flag_key, targeting_key, attributes, named)
        # No call may stand between the read and the write, see `counters`.
        cell[0] += 1
        return enabled

    def value(
        self,
        flag_key: str,
        targeting_key: str | None,
        /,
        default: T,
        attributes: Attributes = NO_ATTRIBUTES,
        **named: Any,
    ) -> T:
        """The variant's value if it is of the default's type, else the default.

        Objects and lists are copies: changing them changes nothing for the next caller.
        """
        try:
            if named:
                attributes = both(attributes, named) if attributes else named
            answer = self._choose[flag_key](targeting_key, attributes)
        except Exception:  # noqa: BLE001 # as in is_enabled
            answer = self._ask(flag_key, targeting_key, both(attributes, named))[0]
        return _value(answer, default)

    def details(
        self,
        flag_key: str,
        targeting_key: str | None,
        /,
        default: Any = None,
        attributes: Attributes = NO_ATTRIBUTES,
        **named: Any,
    ) -> EvaluationDetails:
        """The value with its grounds: variant, reason, error code, cohort."""
        from dataclasses import replace  # noqa: PLC0415 # not needed by who only asks for values

        from wavegate.evaluation.answering import finish, no_flag  # noqa: PLC0415

        answer, cohort = self._ask(flag_key, targeting_key, both(attributes, named))
        value = _value(answer, default)
        if answer is self._unknown:
            return no_flag(flag_key, default, ready=self._snapshot.ruleset is not None)
        return replace(finish(answer.details, default, cohort), value=value)

    def trial(
        self,
        flag_key: str,
        targeting_key: str | None,
        attributes: Attributes = NO_ATTRIBUTES,
        /,
        *,
        default: Any = None,
        slow_after: float | None = None,
        **named: Any,
    ) -> Trial:
        """One request under the flag, for a `with` or `async with` block that counts how it ended.

        Raises:
            ConfigError: `slow_after` is no number of seconds.
        """
        if slow_after is not None:
            check_seconds("slow_after", slow_after)
        attributes = both(attributes, named)
        answer, cohort = self._ask(flag_key, targeting_key, attributes)
        served = fits(answer.details.value, default)
        arm = answer.arm() if served else None
        return Trial(
            enabled=arm is not None and answer.enabled,
            value=_value(answer, default),
            variant=None if arm is None else answer.details.variant,
            arm=arm,
            cohort=answer.cohort(_any_cohort() if cohort is None else cohort),
            # Who has no cohort has nothing to be told apart by.
            user=self._user(flag_key, targeting_key, attributes) if answer.is_drawn and cohort is not None else None,
            slow_after=slow_after,
            caps=self._caps,
            person=None if arm is None else self._person(answer, arm, targeting_key),
        )

    def trials(
        self,
        flag_key: str,
        /,
        *,
        by: str | Callable[..., str | None],
        attributes: str | Callable[..., Attributes] | None = None,
        default: Any = None,
        slow_after: float | None = None,
    ) -> Callable[[Callable[Concatenate[Trial, P], R]], Callable[P, R]]:
        """Makes each call of a function a trial, which it takes as its first parameter; callers do not pass it.

        `by` says whose trial it is: the name of a parameter, or a callable that is given the arguments
        and whose exceptions pass through. `attributes` says in the same way what is known of them.
        Works for functions, coroutines, generators and asynchronous generators; the latter three are
        over when their bodies are.

            @gate.trials("ai-summaries", by="user_id", slow_after=3.0)
            async def summary(trial: wavegate.Trial, user_id: str, text: str) -> str: ...

        Raises:
            ConfigError: when decorating: `slow_after` is no number of seconds, or the function has no such parameter.
        """
        from wavegate.client.decorator import trials_of  # noqa: PLC0415 # few need it

        if slow_after is not None:
            check_seconds("slow_after", slow_after)

        def begin(targeting_key: str | None, attributes: Attributes) -> Trial:
            return self.trial(flag_key, targeting_key, attributes, default=default, slow_after=slow_after)

        return lambda function: trials_of(function, begin, by, attributes)

    def feedback(
        self,
        flag_key: str,
        targeting_key: str | None,
        attributes: Attributes = NO_ATTRIBUTES,
        /,
        *,
        thumbs_up: bool,
        comment: str | None = None,
        **named: Any,
    ) -> None:
        """Counts what a person said about the variant they have now; give the attributes that the trial was given.

        A comment goes to the controller, cut after 500 characters and without saying whose it is; the latest
        hundred wait for the next post. Never raises.
        """
        answer, cohort = self._ask(flag_key, targeting_key, both(attributes, named))
        arm = answer.arm()
        if arm is None:
            return
        place = answer.cohort(_any_cohort() if cohort is None else cohort)
        if thumbs_up:
            cell: list[Any] = arm.values[ValueKind.THUMBS_UP]
        else:
            cell = arm.bad[BadKind.THUMBS_DOWN]
        cell[place] += 1
        if type(comment) is str and comment:
            said = comment[:LONGEST_COMMENT]
            self._say(Comment(flag=arm.flag, variant=arm.variant, thumbs_up=bool(thumbs_up), comment=said))

    def feedback_token(
        self,
        flag_key: str,
        targeting_key: str | None,
        attributes: Attributes = NO_ATTRIBUTES,
        /,
        *,
        lifetime: float = 900.0,
        **named: Any,
    ) -> str | None:
        """What lets this person's browser give feedback once about the variant they have now, for so many seconds.

        Signed here, so that it costs no request. None where nothing can be said of them: without an SDK key, without
        a targeting key, or where the answer is the caller's default.

        Raises:
            ConfigError: `lifetime` is no number of seconds, or more than a day.
        """
        from wavegate.client.tokens import Signer, check_lifetime, nonce  # noqa: PLC0415 # few need it

        try:
            check_lifetime(lifetime)
        except ValueError as refused:
            raise ConfigError(f"lifetime: {refused}") from None
        key = None if self._config is None else self._config.sdk_key
        answer, cohort = self._ask(flag_key, targeting_key, both(attributes, named))
        variant = answer.details.variant
        if key is None or variant is None or type(targeting_key) is not str:
            return None
        place = None if cohort is None else answer.cohort(cohort)
        return Signer(key).sign(
            flag=flag_key,
            variant=variant,
            targeting_key=targeting_key,
            cohort="targeted" if place == TARGETED else place,
            expires=int(now() + lifetime),
            nonce=nonce(),
        )

    @property
    def revision(self) -> int | None:
        """The revision of the ruleset in use; None before there is one."""
        ruleset = self._snapshot.ruleset
        return None if ruleset is None else ruleset.revision

    @property
    def age(self) -> float | None:
        """Seconds since the controller last confirmed the ruleset, or since the client was made; None offline."""
        return None if self._confirmed is None else monotonic() - self._confirmed

    @property
    def connected(self) -> bool | None:
        """Whether the controller answered with a usable ruleset when last asked; None offline."""
        return None if self._confirmed is None else self._is_connected

    @property
    def refused(self) -> bool | None:
        """Whether the controller did not accept the SDK key when last asked; None offline."""
        return None if self._poller is None else self._poller.is_refused

    @property
    def streaming(self) -> bool | None:
        """Whether changes are pushed to this client now; None if it is offline or was told to poll."""
        return None if self._poller is None or not self._wants_stream else self._poller.is_streaming

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Waits until a ruleset is in use, from wherever; False if the time ran out first."""
        return self._ready.wait(timeout)

    def on_change(self, listener: Callable[[Ruleset], None]) -> None:
        """Calls the listener, on the client's thread, with every ruleset that is taken into use from now on."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Stops the threads and hands over what is counted, in three seconds at most; it goes on answering."""
        self._counters.detach(self)
        process.dismiss(self)
        if self._poller is not None:
            self._poller.stop()
        if self._words is not None:
            self._words.stop()
        if self._poster is not None:
            self._poster.stop()
        else:
            self._counters.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def complete(self) -> None:
        """Makes the counters of all answers exist, which else appear when a flag is first asked for."""
        self._snapshot.complete()

    def after_fork(self) -> None:
        """Called in a forked child; apps need not."""
        ready, self._ready = self._ready.is_set(), threading.Event()
        if ready:
            self._ready.set()
        if self._poller is not None:
            self._poller.after_fork()
        if self._poster is not None:
            self._poster.after_fork()
        if self._words is not None:
            self._words.after_fork()

    def at_exit(self) -> None:
        """Called when the process ends; apps need not."""
        if self._poster is not None:
            self._poster.flush()
        if self._words is not None:
            self._words.flush()

    def _say(self, said: Comment) -> None:
        if self._poster is not None:
            self._counters.comments.append(said)
        elif self._words is not None:
            self._words.say(said)

    def _ask(self, flag_key: str, targeting_key: str | None, attributes: Attributes) -> tuple[Answer, int | None]:
        snapshot = self._snapshot
        try:
            flag = snapshot.flag(flag_key)
            return snapshot.choose[flag_key](targeting_key, attributes), flag.cohort(targeting_key, attributes)
        except Exception:  # noqa: BLE001 # as in is_enabled
            return self._unknown, None

    def _flip(
        self, flag_key: str, targeting_key: str | None, attributes: Attributes, named: Mapping[str, Any]
    ) -> Switch:
        try:
            return self._snapshot.flip(flag_key, targeting_key, both(attributes, named))
        except Exception:  # noqa: BLE001 # as in is_enabled
            return self._unknown.error_cell, False

    def _person(self, answer: Answer, arm: Arm, targeting_key: str | None) -> Cell | None:
        """Where a request of somebody in the pilot counts as theirs."""
        if answer.details.decided_by != "pilot" or targeting_key is None:
            return None
        return self._counters.person(arm.flag, arm.variant, targeting_key)

    def _user(self, flag_key: str, targeting_key: str | None, attributes: Attributes) -> int | None:
        ruleset = self._snapshot.ruleset
        try:
            by = None if ruleset is None else ruleset.flags[flag_key].bucket_by
            return hash(targeting_key if by is None else attributes[by])
        except Exception:  # noqa: BLE001 # as in is_enabled
            return None

    def _offer(self, ruleset: Ruleset, rollback_allowed: bool, _document: bytes = b"") -> bool:
        in_use = self._snapshot.ruleset
        # Revisions are counted within an environment: what a cache kept of another one is no measure.
        if in_use is not None and ruleset.environment == in_use.environment:
            if ruleset.revision < in_use.revision and not rollback_allowed:
                return False
            if ruleset == in_use:
                return True
        from wavegate.client.snapshot import Snapshot  # noqa: PLC0415 # there since the client was made

        self._use(Snapshot(ruleset, self._counters))
        for listener in list(self._listeners):
            try:
                listener(ruleset)
            except Exception:  # noqa: BLE001 # the app's code must not end our polling
                log().exception("a listener failed", extra={"action": "listener_failed"})
        return True

    def _use(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._choose = snapshot.choose
        self._switches = snapshot.switches
        if snapshot.ruleset is not None:
            self._ready.set()

    def _confirm(self) -> None:
        self._confirmed = monotonic()

    def _looked(self, answered: bool) -> None:
        self._is_connected = answered
        age = self.age
        stale = age is not None and age > self._stale_after
        if stale is not self._snapshot.is_stale:
            from wavegate.client.snapshot import Snapshot  # noqa: PLC0415 # as above

            self._use(Snapshot(self._snapshot.ruleset, self._counters, stale=stale))


def _counters_in(registry: Registry | None) -> Counters:
    # Imported here: prometheus_client is wanted by apps with a client, not by whoever imports wavegate.
    from wavegate.client.metrics import counters_in  # noqa: PLC0415

    return counters_in(registry)


def _any_cohort() -> int:
    """Who has no key is nobody's second request: by chance such requests spread as strangers do."""
    from wavegate.client.worker import CHANCE  # noqa: PLC0415 # an import that who has keys does not need

    return CHANCE.randrange(COHORTS)


def _value(answer: Answer, default: T) -> T:
    """The value to hand out, counted as what it turned out to be."""
    value: T = answer.details.value
    if answer.details.variant is None or not fits(value, default):
        answer.error_cell[0] += 1
        return default
    answer.cell[0] += 1
    if type(value) in (dict, list):
        from copy import deepcopy  # noqa: PLC0415 # as above

        return deepcopy(value)
    return value
