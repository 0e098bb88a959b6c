"""The OpenFeature provider: a client's answers in OpenFeature's words.

Needs the extra: `pip install wavegate[openfeature]`. The only module that imports openfeature.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from enum import Enum, auto
from typing import Any, Final, TypeAlias

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode, ProviderFatalError, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata
from openfeature.track import TrackingEventDetails

from wavegate.client import Client, process
from wavegate.client.attributes import NO_ATTRIBUTES
from wavegate.client.checks import check_seconds
from wavegate.client.clock import monotonic
from wavegate.client.counters import Cell, Counters
from wavegate.client.log import log
from wavegate.client.snapshot import Answer, Snapshot
from wavegate.client.worker import Worker
from wavegate.evaluation import EvaluationDetails, Ruleset
from wavegate.evaluation.answering import no_flag, type_mismatch
from wavegate.evaluation.splitting import Choose

__all__ = ["FEEDBACK", "OUTCOME", "WavegateProvider"]

#: A resolution, and where it counts.
_Resolved: TypeAlias = tuple[Cell, FlagResolutionDetails[Any]]

#: A tracking event that says what a person thought of the variant they have.
FEEDBACK: Final = "wavegate.feedback"
#: A tracking event that says how one request under a flag ended.
OUTCOME: Final = "wavegate.outcome"

_LOOK_EVERY: Final = 0.5
#: While the first ruleset is awaited, how soon a refused key is noticed.
_NOTICE_EVERY: Final = 0.05

Structure: TypeAlias = Sequence[FlagValueType] | Mapping[str, FlagValueType]


class WavegateProvider(AbstractProvider):
    """Answers OpenFeature clients from a Wavegate client, which stays the app's own to use and to close.

    Ready when the client has a ruleset, from wherever; stale as soon as the controller does not answer,
    and an error when that has gone on for `grace_period` seconds, or the key is refused; ready again when
    it answers. An error, too, if there was no ruleset after `ready_timeout` seconds, until there is one;
    fatal if the key is refused before there is any. Resolving never raises and never waits, in asyncio
    neither.

    Raises:
        ConfigError: `ready_timeout` or `grace_period` is no number of seconds.
    """

    def __init__(self, client: Client, *, ready_timeout: float = 5.0, grace_period: float = 5.0) -> None:
        super().__init__()
        check_seconds("ready_timeout", ready_timeout)
        check_seconds("grace_period", grace_period)
        self._client = client
        self._ready_timeout = ready_timeout
        self._grace_period = grace_period
        self._stale_since = 0.0
        self._metadata = Metadata("wavegate")
        self._state = _State.NEW
        self._ruleset: Ruleset | None = None
        self._watch = Worker("wavegate-openfeature", self._look)
        self._listens = False
        self._complained: set[str] = set()
        self._made = _Made(client._snapshot, client._counters)  # noqa: SLF001 # one distribution, one design

    def get_metadata(self) -> Metadata:
        """The provider's name."""
        return self._metadata

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002 # flags need none beforehand
        """Waits for the first ruleset.

        Raises:
            ProviderFatalError: the controller refused the SDK key, and there is no ruleset from elsewhere.
            ProviderNotReadyError: none came in time.

        After either the provider becomes ready by itself when a ruleset comes.
        """
        self._state = _State.NEW
        if not self._listens:
            self._client.on_change(self._changed)
            self._listens = True
        if self._client.connected is not None:
            self._watch = Worker("wavegate-openfeature", self._look)
            self._watch.start(_LOOK_EVERY)
            process.adopt(self)
        is_ready = self._wait()
        self._ruleset = self._client._snapshot.ruleset  # noqa: SLF001 # as above
        self._state = _State.READY if is_ready else _State.WAITING
        if not is_ready and self._client.refused:
            raise ProviderFatalError("the controller refused the SDK key; check sdk_key")
        if not is_ready:
            raise ProviderNotReadyError(f"no ruleset arrived within {self._ready_timeout:g} s")

    def shutdown(self) -> None:
        """Sends no more events. The client goes on: whoever made it closes it."""
        self._state = _State.NEW
        process.dismiss(self)
        self._watch.stop(_LOOK_EVERY)

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """A flag whose variants are booleans."""
        return self._resolve("boolean", flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """A flag whose variants are strings."""
        return self._resolve("string", flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """A flag whose variants are integers; no number is rounded to one."""
        return self._resolve("integer", flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """A flag whose variants are numbers."""
        return self._resolve("float", flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self, flag_key: str, default_value: Structure, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Structure]:
        """A flag whose variants are objects or lists, of which everybody gets a copy."""
        resolution = self._resolve("object", flag_key, default_value, evaluation_context)
        return resolution if resolution.error_code else replace(resolution, value=deepcopy(resolution.value))

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Counts feedback and outcomes; other events are not Wavegate's. Never raises.

        The attributes say `flag_key` and, of feedback, `thumbs_up` and maybe `comment`; of an outcome
        `seconds` and maybe `bad`, `cost_usd`, `tokens`. An outcome's value is counted as `custom`.
        """
        if tracking_event_name not in (FEEDBACK, OUTCOME):
            return
        said = tracking_event_details or TrackingEventDetails()
        count = self._feedback if tracking_event_name == FEEDBACK else self._outcome
        try:
            count(evaluation_context or EvaluationContext(), said.attributes, said.value)
        except Exception as problem:  # noqa: BLE001 # telling what happened must not break what happens
            # Once: an app that is wrong is wrong with every request.
            if tracking_event_name not in self._complained:
                self._complained.add(tracking_event_name)
                log().warning(
                    "ignored a tracking event %s: %s",
                    tracking_event_name,
                    problem,
                    extra={"action": "tracking_ignored"},
                )

    def _feedback(self, context: EvaluationContext, said: Mapping[str, Any], _value: float | None) -> None:
        self._client.feedback(
            _said(said, "flag_key", str),
            context.targeting_key,
            context.attributes,
            thumbs_up=_said(said, "thumbs_up", bool),
            comment=said.get("comment"),
        )

    def _outcome(self, context: EvaluationContext, said: Mapping[str, Any], value: float | None) -> None:
        flag_key, seconds = _said(said, "flag_key", str), _said(said, "seconds", int | float)
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"seconds: is {seconds!r}; give 0 or more")
        with self._client.trial(flag_key, context.targeting_key, context.attributes) as trial:
            # The request ran before anybody told of it.
            trial._started -= seconds  # noqa: SLF001 # as above
            if said.get("bad"):
                trial.bad(str(said["bad"]))
            if "cost_usd" in said:
                trial.cost_usd(said["cost_usd"])
            if "tokens" in said:
                trial.tokens(input=said["tokens"])
            if value is not None:
                trial.custom(value)

    def _resolve(
        self, wanted: str, flag_key: str, default: Any, context: EvaluationContext | None
    ) -> FlagResolutionDetails[Any]:
        made = self._made
        if made.snapshot is not self._client._snapshot:  # noqa: SLF001 # as above
            made = self._made = _Made(self._client._snapshot, self._client._counters)  # noqa: SLF001 # as above
        resolution: FlagResolutionDetails[Any]
        try:
            # Of an error nothing is made, and nothing cannot be taken apart.
            if context is None:
                cell, resolution = made.choose[wanted][flag_key](None, NO_ATTRIBUTES)
            else:
                cell, resolution = made.choose[wanted][flag_key](context.targeting_key, context.attributes)
        except Exception:  # noqa: BLE001 # first asked, or an error; an odd context may raise anything
            return self._slowly(made, wanted, flag_key, default, context or EvaluationContext())
        cell[0] += 1
        return resolution

    def _slowly(
        self, made: "_Made", wanted: str, flag_key: str, default: Any, context: EvaluationContext
    ) -> FlagResolutionDetails[Any]:
        """The same for what is not made beforehand: errors, since each caller has a default, and what is new."""
        try:
            resolved = made.asking(wanted, flag_key)(context.targeting_key, context.attributes)
            answer = made.answer(flag_key, context)
        except Exception:  # noqa: BLE001 # no flag, or what is no key at all
            resolved, answer = None, self._client._unknown  # noqa: SLF001 # as above
            details = no_flag(flag_key, default, ready=made.snapshot.ruleset is not None)
        else:
            details = answer.details
        if resolved is not None:
            cell, resolution = resolved
            cell[0] += 1
            return resolution
        if details.error_code is None:
            details = type_mismatch(details, wanted)
        answer.error_cell[0] += 1
        return FlagResolutionDetails(
            value=default,
            reason=Reason.ERROR,
            error_code=ErrorCode(str(details.error_code)),
            error_message=details.error_message,
            flag_metadata=made.metadata,
        )

    def _changed(self, ruleset: Ruleset) -> None:
        """On the polling thread, with every new ruleset."""
        before, self._ruleset = self._ruleset, ruleset
        if self._state in _WITH_RULESET and before is not None and before is not ruleset:
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=_changes(before, ruleset)))

    def _wait(self) -> bool:
        """Whether a ruleset came in time; no longer than until the key is refused."""
        end = monotonic() + self._ready_timeout
        while (left := end - monotonic()) > 0 and not self._client.refused:
            if self._client.wait_ready(min(_NOTICE_EVERY, left)):
                break
        return self._client.revision is not None

    def _look(self) -> float:
        """Every now and then on a thread of its own: whether what is answered is what the controller says."""
        is_connected, state = self._client.connected, self._state
        if state is _State.WAITING:
            if self._client.revision is not None:
                self._ready("a ruleset arrived")
        elif state in (_State.STALE, _State.LOST) and is_connected:
            self._ready("the controller answers again")
        elif state in (_State.READY, _State.STALE) and self._client.refused:
            self._lost("the controller refused the SDK key; flags go on answering from the last ruleset")
        elif state is _State.READY and not is_connected:
            self._state, self._stale_since = _State.STALE, monotonic()
            self.emit_provider_stale(ProviderEventDetails(message="the controller does not answer"))
        elif state is _State.STALE and monotonic() - self._stale_since >= self._grace_period:
            self._lost(f"the controller has not answered for {self._grace_period:g} s or more")
        return min(_LOOK_EVERY, self._grace_period)

    def _ready(self, message: str) -> None:
        self._state = _State.READY
        self.emit_provider_ready(ProviderEventDetails(message=message))

    def _lost(self, message: str) -> None:
        """Not fatal, whatever the cause: there is a ruleset, and OpenFeature's client would ask no more for it."""
        self._state = _State.LOST
        self.emit_provider_error(ProviderEventDetails(message=message, error_code=ErrorCode.GENERAL))

    def after_fork(self) -> None:
        """Called in a forked child; apps need not."""
        self._watch.start_again(_LOOK_EVERY)

    def at_exit(self) -> None:
        """Called when the process ends; there is nothing left to do."""


class _State(Enum):
    """What OpenFeature was told."""

    #: Nothing yet, or no longer.
    NEW = auto()
    #: That there is no ruleset.
    WAITING = auto()
    READY = auto()
    STALE = auto()
    #: That the controller is away for long, or refuses the key.
    LOST = auto()


_WITH_RULESET: Final = frozenset({_State.READY, _State.STALE, _State.LOST})


class _Made:
    """The resolutions of one snapshot, made when first needed and then the same for everybody.

    OpenFeature's client copies their fields and changes nothing in them.
    """

    def __init__(self, snapshot: Snapshot, counters: Counters) -> None:
        self.snapshot = snapshot
        self._counters = counters
        ruleset = snapshot.ruleset
        #: Under the names that OpenFeature's telemetry looks for.
        self.metadata: dict[str, Any] = (
            {} if ruleset is None else {"flagSetId": ruleset.environment, "version": str(ruleset.revision)}
        )
        self._shared: dict[Any, FlagResolutionDetails[Any]] = {}
        #: By the type that is wanted and the flag.
        self.choose: dict[str, dict[Any, Choose[Any]]] = {wanted: {} for wanted in _TYPES}

    def answer(self, flag_key: str, context: EvaluationContext) -> Answer:
        """What the flag answers, whatever type is wanted.

        Raises:
            KeyError: there is no such flag.
        """
        self.snapshot.flag(flag_key)
        return self.snapshot.choose[flag_key](context.targeting_key, context.attributes)

    def asking(self, wanted: str, flag_key: str) -> Choose["_Resolved | None"]:
        """The flag for who wants this type. Nothing is made of errors, since each caller has a default."""

        def present(details: EvaluationDetails) -> _Resolved | None:
            if details.error_code is not None or not _is(wanted, details.value):
                return None
            cell = self._counters.evaluations(flag_key, details.variant, details.reason)
            return cell, self.resolution(details, wanted)

        choose = self.choose[wanted].get(flag_key)
        if choose is None:
            choose = self.choose[wanted][flag_key] = self.snapshot.asking(flag_key, present)
        return choose

    def resolution(self, details: EvaluationDetails, wanted: str) -> FlagResolutionDetails[Any]:
        """An answer without error; it does not say of which flag, so that most flags have the same few."""
        if wanted in _SHARED:
            key = (wanted, details.value, details.variant, details.reason, details.decided_by)
            if key not in self._shared:
                self._shared[key] = self._resolution(details, wanted)
            return self._shared[key]
        return self._resolution(details, wanted)

    def _resolution(self, details: EvaluationDetails, wanted: str) -> FlagResolutionDetails[Any]:
        return FlagResolutionDetails(
            value=float(details.value) if wanted == "float" else details.value,
            variant=details.variant,
            reason=Reason(details.reason),
            flag_metadata={**self.metadata, "decided_by": details.decided_by or ""},
        )


_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "boolean": (bool,),
    "string": (str,),
    "integer": (int,),
    "float": (float, int),
    "object": (dict, list),
}
#: Types whose values tell which of two answers is which.
_SHARED: Final = frozenset(("boolean", "string"))


def _is(wanted: str, value: object) -> bool:
    # By the exact type, because to Python a boolean is an integer.
    return type(value) in _TYPES[wanted]


def _changes(before: Ruleset, after: Ruleset) -> list[str]:
    """The flags that may answer otherwise than before."""
    keys = before.flags.keys() | after.flags.keys()
    if before.segments != after.segments:
        return sorted(keys)
    changed = {key for key in keys if before.flags.get(key) != after.flags.get(key)}
    more = changed
    while more:
        more = {
            flag.key
            for flag in after.flags.values()
            if flag.key not in changed and any(needed.flag in more for needed in flag.prerequisites)
        }
        changed |= more
    return sorted(changed)


def _said(attributes: Mapping[str, Any], name: str, wanted: Any) -> Any:
    """An attribute of a tracking event.

    Raises:
        ValueError: it is missing, or of another type.
    """
    value = attributes.get(name)
    if not isinstance(value, wanted):
        raise ValueError(f"{name}: is {value!r}; give {getattr(wanted, '__name__', wanted)}")  # noqa: TRY004 # see above
    return value
