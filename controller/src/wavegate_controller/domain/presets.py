"""Ready-made gates for AI features: one word and a few parameters to gates, on our SDK's metrics or OpenTelemetry's."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.gates import ErrorRateGate, Gate, Operator, ThresholdGate
from wavegate_controller.domain.promql import PLACEHOLDERS, check_label_names, check_placeholders, matchers

#: Upper edges of the SDK's duration histogram, in seconds; between them it knows nothing.
SDK_EDGES: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
#: The SDK labels every outcome so.
_SDK_LABELS: Final = {"flag": "{{flag}}", "variant": "{{candidate}}"}
#: OpenTelemetry's attributes of a flag evaluation, as an app adds them to its GenAI metrics.
_OTEL_LABELS: Final = {"feature_flag_key": "{{flag}}", "feature_flag_result_variant": "{{candidate}}"}
_OTEL_OPERATIONS: Final = "gen_ai_client_operation_duration_seconds"
#: What a client saw first; else what a server says of itself.
_OTEL_FIRST_TOKEN: Final = (
    "gen_ai_client_operation_time_to_first_chunk_seconds",
    "gen_ai_server_time_to_first_token_seconds",
)


class PresetName(StrEnum):
    """What is watched."""

    #: Requests that failed.
    ERROR_RATE = "error-rate"
    #: Requests that took too long.
    LATENCY = "latency"
    #: Answers whose first token came too late.
    TIME_TO_FIRST_TOKEN = "time-to-first-token"  # noqa: S105 - no password
    #: Dollars per request.
    COST = "cost"
    #: Tokens read and written per request.
    TOKENS = "tokens"
    #: Requests for which the app gave up on the candidate and used something else.
    FALLBACK_RATE = "fallback-rate"
    #: Requests that a person called no good.
    THUMBS_DOWN = "thumbs-down"


class Source(StrEnum):
    """Whose metric names."""

    #: Those of our SDK.
    WAVEGATE = "wavegate"
    #: OpenTelemetry's GenAI conventions, as they appear in Prometheus.
    OTEL = "otel"


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """One word of a plan and its parameters.

    Attributes:
        name: of the gate; by default the preset's own.
        limit: what must not be exceeded: a share, dollars or tokens.
        warn: below the limit; between the two the wave is held.
        over: seconds from which a request is slow, each an edge of the histogram; one gate each.
        window: over which rates are taken.
        labels: matchers that single out the candidate's series; values may use placeholders.
    """

    preset: PresetName
    source: Source = Source.WAVEGATE
    name: str | None = None
    limit: float | None = None
    warn: float | None = None
    over: tuple[float, ...] = ()
    window: timedelta = timedelta(minutes=5)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """What a preset gives on one source.

    Attributes:
        needs: parameters that have no default.
        takes: further parameters.
    """

    summary: str
    expand: Callable[[Preset], tuple[Gate, ...]]
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()


def expand(preset: Preset) -> tuple[Gate, ...]:
    """The gates that the preset stands for.

    Raises:
        Invalid: naming the parameter that is missing, does not belong to the preset, or makes no sense.
    """
    offer = OFFERS.get((preset.preset, preset.source))
    if offer is None:
        others = [source.value for name, source in OFFERS if name is preset.preset]
        raise Invalid("source", f"{preset.source} knows no {preset.preset}", f"one of {', '.join(others)}")
    _check_parameters(preset, offer)
    return offer.expand(preset)


def _compared(kind: str, ceiling: float) -> Callable[[Preset], tuple[Gate, ...]]:
    """A kind of bad outcome beside stable; the limit is the ceiling."""

    def gates(preset: Preset) -> tuple[Gate, ...]:
        if preset.over:
            return _slow_shares(preset, (_SDK_DURATION,), _SDK_LABELS)
        try:
            gate = ErrorRateGate(
                name=_name(preset), kinds=(kind,), ceiling=ceiling if preset.limit is None else preset.limit
            )
        except Invalid as refusal:
            raise Invalid(
                "limit" if refusal.field == "ceiling" else refusal.field, refusal.problem, refusal.expected
            ) from None
        return (gate,)

    return gates


_SDK_DURATION: Final = "wavegate_duration_seconds"


def _otel_errors(preset: Preset) -> tuple[Gate, ...]:
    scope = _scope(preset, _OTEL_LABELS)
    # An app that never failed has no such series yet, which is no lack of data.
    failed = f'(sum(rate({_OTEL_OPERATIONS}_count{{{scope},error_type!=""}}[{{{{window}}}}])) or vector(0))'
    return (_at_most(preset, f"{failed} / {_rate(f'{_OTEL_OPERATIONS}_count', scope)}"),)


def _otel_latency(preset: Preset) -> tuple[Gate, ...]:
    return _slow_shares(preset, (_OTEL_OPERATIONS,), _OTEL_LABELS)


def _otel_first_token(preset: Preset) -> tuple[Gate, ...]:
    return _slow_shares(preset, _OTEL_FIRST_TOKEN, _OTEL_LABELS)


def _sdk_mean(kind: str) -> Callable[[Preset], tuple[Gate, ...]]:
    def gates(preset: Preset) -> tuple[Gate, ...]:
        scope = _scope(preset, _SDK_LABELS)
        total = _rate("wavegate_value_total", f'{scope},kind="{kind}"')
        return (_at_most(preset, f"{total} / {_rate('wavegate_requests_total', scope)}"),)

    return gates


def _otel_tokens(preset: Preset) -> tuple[Gate, ...]:
    scope = _scope(preset, _OTEL_LABELS)
    # Per operation: the count of this histogram has one for the tokens read and one for those written.
    total = _rate("gen_ai_client_token_usage_sum", scope)
    return (_at_most(preset, f"{total} / {_rate(f'{_OTEL_OPERATIONS}_count', scope)}"),)


_SHARE_OVER: Final = "Share of requests slower than each edge in `over` (seconds) at most `limit`."

#: What there is, in the order in which it is shown.
OFFERS: Final[Mapping[tuple[PresetName, Source], Offer]] = {
    (PresetName.ERROR_RATE, Source.WAVEGATE): Offer(
        summary="Errors of the candidate beside those of stable; never above `limit` (0.25).",
        expand=_compared("error", 0.25),
        takes=("limit",),
    ),
    (PresetName.LATENCY, Source.WAVEGATE): Offer(
        summary="Requests slower than the trial's slow_after, beside those of stable; never above `limit` (0.5). "
        f"With `over`: {_SHARE_OVER[0].lower()}{_SHARE_OVER[1:]}",
        expand=_compared("slow", 0.5),
        takes=("limit", "over", "warn", "window", "labels"),
    ),
    (PresetName.COST, Source.WAVEGATE): Offer(
        summary="Dollars per request at most `limit`.",
        expand=_sdk_mean("cost_usd"),
        needs=("limit",),
        takes=("warn", "window", "labels"),
    ),
    (PresetName.TOKENS, Source.WAVEGATE): Offer(
        summary="Tokens per request at most `limit`.",
        expand=_sdk_mean("tokens"),
        needs=("limit",),
        takes=("warn", "window", "labels"),
    ),
    (PresetName.FALLBACK_RATE, Source.WAVEGATE): Offer(
        summary="Requests that fell back, beside those of stable; never above `limit` (0.5).",
        expand=_compared("fallback", 0.5),
        takes=("limit",),
    ),
    (PresetName.THUMBS_DOWN, Source.WAVEGATE): Offer(
        summary="Requests with a thumbs down, beside those of stable; never above `limit` (0.25).",
        expand=_compared("thumbs_down", 0.25),
        takes=("limit",),
    ),
    (PresetName.ERROR_RATE, Source.OTEL): Offer(
        summary="Share of GenAI operations with an error at most `limit`.",
        expand=_otel_errors,
        needs=("limit",),
        takes=("warn", "window", "labels"),
    ),
    (PresetName.LATENCY, Source.OTEL): Offer(
        summary=_SHARE_OVER.replace("requests", "GenAI operations"),
        expand=_otel_latency,
        needs=("limit", "over"),
        takes=("warn", "window", "labels"),
    ),
    (PresetName.TIME_TO_FIRST_TOKEN, Source.OTEL): Offer(
        summary=_SHARE_OVER.replace("requests slower than", "answers whose first token came later than"),
        expand=_otel_first_token,
        needs=("limit", "over"),
        takes=("warn", "window", "labels"),
    ),
    (PresetName.TOKENS, Source.OTEL): Offer(
        summary="Tokens per GenAI operation at most `limit`.",
        expand=_otel_tokens,
        needs=("limit",),
        takes=("warn", "window", "labels"),
    ),
}


def _check_parameters(preset: Preset, offer: Offer) -> None:
    given = {
        "limit": preset.limit is not None,
        "warn": preset.warn is not None,
        "over": bool(preset.over),
        "window": preset.window != _DEFAULT_WINDOW,
        "labels": bool(preset.labels),
    }
    # Compared with stable there is nothing to warn of, and no PromQL that labels or a window would enter.
    by_limit = offer.needs or preset.over
    usable = {*offer.needs, *offer.takes} if by_limit else {"limit", "over"} & {*offer.takes}
    needed = offer.needs or (("limit",) if preset.over else ())
    for parameter in needed:
        if not given[parameter]:
            raise Invalid(parameter, f"is missing for preset {preset.preset}", offer.summary)
    for parameter, is_given in given.items():
        if is_given and parameter not in usable:
            what = ", ".join(sorted(usable)) or "none"
            raise Invalid(parameter, f"does not go with preset {preset.preset} here", f"of these: {what}")
    check_label_names("labels", preset.labels, reserved=("le", "kind", "error_type", "__name__"))
    for name, value in preset.labels.items():
        check_placeholders(f"labels.{name}", value, PLACEHOLDERS)


_DEFAULT_WINDOW: Final = timedelta(minutes=5)


def _slow_shares(preset: Preset, histograms: tuple[str, ...], labels: Mapping[str, str]) -> tuple[Gate, ...]:
    """One gate for each edge: the share of what took longer, from the histogram's own buckets, not interpolated."""
    scope = _scope(preset, labels)
    known = SDK_EDGES if preset.source is Source.WAVEGATE else None
    gates: list[Gate] = []
    for index, edge in enumerate(preset.over):
        if not 0 < edge < math.inf:
            raise Invalid(f"over[{index}]", f"{edge} is not a number of seconds", "more than 0, such as 2.5")
        if known is not None and edge not in known:
            expected = "an edge of the SDK's histogram: " + ", ".join(f"{each:g}" for each in known)
            raise Invalid(f"over[{index}]", f"{edge:g} lies between two edges", expected)
        if edge in preset.over[:index]:
            raise Invalid(f"over[{index}]", f"{edge:g} is named twice", "each edge once")
        fast = " or ".join(
            f"({_rate(f'{each}_bucket', f'{scope},{_le(edge)}')} / {_rate(f'{each}_count', scope)})"
            for each in histograms
        )
        name = f"{_name(preset)}-over-{edge:g}s"
        gates.append(_at_most(preset, f"1 - ({fast})" if len(histograms) > 1 else f"1 - {fast}", name=name))
    if preset.limit is not None and not 0 <= preset.limit < 1:
        raise Invalid("limit", f"{preset.limit:g} is not a share", "0 or more and less than 1")
    return tuple(gates)


def _at_most(preset: Preset, query: str, *, name: str | None = None) -> ThresholdGate:
    if preset.limit is None:
        raise Invalid("limit", "is missing", "a number")
    return ThresholdGate(
        name=name or _name(preset),
        query=query,
        operator=Operator.LESS_OR_EQUAL,
        limit=preset.limit,
        warn=preset.warn,
        window=preset.window,
    )


def _name(preset: Preset) -> str:
    return preset.name or preset.preset.value


def _scope(preset: Preset, labels: Mapping[str, str]) -> str:
    return matchers(preset.labels or labels)


def _rate(metric: str, scope: str) -> str:
    return f"sum(rate({metric}{{{scope}}}[{{{{window}}}}]))"


def _le(edge: float) -> str:
    """Whole numbers are written 1 by some exporters and 1.0 by others."""
    text = f"{edge:.10g}".replace(".", "[.]")
    return f'le=~"{text}([.]0)?"' if edge == int(edge) else f'le="{edge:.10g}"'
