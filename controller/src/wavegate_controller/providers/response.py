"""What the body of a Prometheus answer means: pure functions from JSON to an answer, with a sentence for each refusal.

The format is https://prometheus.io/docs/prometheus/latest/querying/api/, which Thanos, Mimir and VictoriaMetrics share.
"""

import json
import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import lt
from typing import Any, Final

from wavegate_controller.domain.measurement import (
    Answer,
    Broken,
    BrokenReason,
    NoData,
    NoDataReason,
    Series,
    Value,
)

#: Longest detail that is kept: it is stored with each measurement and shown in one line.
DETAIL_LENGTH: Final = 300
#: How many of several series are named.
_SHOWN_SERIES: Final = 3
#: Prometheus keeps milliseconds; our time is sent and answered rounded to them.
_ROUNDING: Final = timedelta(milliseconds=1)

#: How old a value may be. Prometheus looks back as far by itself; some servers answer as of a little before.
_STALE: Final = timedelta(minutes=5)
#: What JSON gives for a time and for a label's value; the exact types, since `True` is an int, too.
_NUMBERS: Final = (int, float)
_ONLY_TEXT: Final = frozenset({str})
_ONLY_NUMBERS: Final = frozenset(_NUMBERS)
_ONLY_LISTS: Final = frozenset({list})
_ONLY_PAIRS: Final = frozenset({2})
_ONE_NUMBER: Final = "where one number was meant"


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """The `data` of a successful answer: which of the four types, and its values, not looked at yet."""

    kind: str
    result: Any


def malformed(problem: str) -> Broken:
    """The server broke the promise of its API."""
    return Broken(reason=BrokenReason.MALFORMED_RESPONSE, detail=problem)


def one_line(text: str) -> str:
    """A detail as it is kept: short and printable, whatever a server put into it."""
    printable = "".join(each if each.isprintable() else " " for each in text)
    line = " ".join(printable.split())
    return line if len(line) <= DETAIL_LENGTH else line[: DETAIL_LENGTH - 1] + "…"


def error_of(body: bytes) -> tuple[str, str] | None:
    """Type and message of the error that a Prometheus API reports in a body; None when the body is no such error."""
    document = _document(body)
    if not isinstance(document, dict) or document.get("status") != "error":
        return None
    return _text(document.get("errorType", "")), _text(document.get("error", "no message"))


def data_of(body: bytes) -> Data | Broken:
    """The envelope of a 200: success and complete, or Broken."""
    document = _document(body)
    if document is None:
        return malformed(
            f"not JSON: it begins with {_excerpt(body)}; is this URL the root of a Prometheus API?"
            if body
            else "an empty body"
        )
    if not isinstance(document, dict):
        return malformed(f"not a JSON object: it begins with {_excerpt(body)}")
    if document.get("status") == "error":
        return malformed(f"status 200 with an error inside: {_text(document.get('error', 'no message'))}")
    if document.get("status") != "success":
        return malformed(f"neither success nor error: status is {_text(document.get('status'))}")
    # Thanos, Mimir and Prometheus warn; VictoriaMetrics says isPartial.
    if warnings := document.get("warnings"):
        texts = "; ".join(map(_text, warnings)) if isinstance(warnings, list) else _text(warnings)
        return Broken(reason=BrokenReason.PARTIAL_RESPONSE, detail=f"the server warns: {texts}")
    if document.get("isPartial"):
        return Broken(
            reason=BrokenReason.PARTIAL_RESPONSE, detail="the server says that some of its storage did not answer"
        )
    match document.get("data"):
        case {"resultType": str() as kind, "result": list() as result}:
            return Data(kind=kind, result=result)
        case other:
            return malformed(f"no resultType and result in the data: {_text(other)}")


def misses_one_number(data: Data) -> str | None:
    """Why a query of this type never gives one number, whatever the data; None when it may."""
    match data.kind:
        case "matrix":
            return f"the query gives ranges {_ONE_NUMBER}: put it into a function such as rate(...)"
        case "string":
            return f"the query gives a string {_ONE_NUMBER}"
        case _:
            return None


def number(data: Data, *, at: datetime) -> Answer:
    """The one number that was meant, as of the evaluation time `at` that was asked for."""
    if problem := misses_one_number(data):
        return malformed(problem)
    match data.kind, data.result:
        case "scalar", sample:
            return _value(sample, at=at)
        case "vector", []:
            return NoData(reason=NoDataReason.EMPTY_RESULT)
        case "vector", [{"value": sample}]:
            return _value(sample, at=at)
        case "vector", [{"histogram": _}]:
            return malformed(
                f"the query gives a histogram {_ONE_NUMBER}: take histogram_quantile(...) or histogram_count(...)"
            )
        case "vector", [_]:
            return malformed(f"a series without a value: {_text(data.result)}")
        case "vector", several:
            return _several(several)
        case kind, _:
            return malformed(f"unknown resultType {_text(kind)}")


def raw_samples(data: Data, *, at: datetime) -> tuple[Series, ...] | Broken:
    """The raw samples of a range selector, whose range ended at `at`."""
    if data.kind != "matrix":
        return malformed(f"{_text(data.kind)} where raw samples, a matrix, were asked for")
    series = []
    latest = (at + _ROUNDING).timestamp()
    for each in data.result:
        match each:
            case {"metric": dict() as labels, "values": list() as values}:
                samples = _samples(values, latest=latest)
            case {"histograms": _}:
                return malformed("the selector matches a native histogram, whose samples are not numbers")
            case _:
                return malformed(f"a series without metric and values: {_text(each)}")
        if isinstance(samples, str):
            return malformed(f"{samples} in series {_labels(each)}")
        if not _ONLY_TEXT.issuperset(map(type, labels.values())):
            return malformed(f"a label that is no text in series {_labels(each)}")
        if samples:
            series.append(Series(labels=labels, samples=samples))
    return tuple(series)


def _samples(values: list[object], *, latest: float) -> tuple[tuple[float, float], ...] | str:
    """The samples, or why they cannot be trusted. There are hundreds of thousands a tick, so first all at once."""
    if (samples := _plain(values, latest=latest)) is not None:
        return samples
    before = -math.inf
    read = []
    for value in values:
        sample = _sample(value)
        if sample is None:
            return "a sample that is not [time, value]"
        if not math.isfinite(sample[1]):
            # Counted as an increment it would poison every sum after it.
            return "a sample that is not a finite number"
        if sample[0] <= before:
            return "samples that are not in the order of time"
        before = sample[0]
        read.append(sample)
    if before > latest:
        return f"a sample from after the asked time {datetime.fromtimestamp(latest, UTC):%H:%M:%S} UTC"
    return tuple(read)


def _plain(values: list[Any], *, latest: float) -> tuple[tuple[float, float], ...] | None:
    """The samples where nothing is wrong with any of them; None where somebody must look at each."""
    if not (_ONLY_LISTS.issuperset(map(type, values)) and _ONLY_PAIRS.issuperset(map(len, values))):
        return None
    times = [value[0] for value in values]
    texts = [value[1] for value in values]
    if not (_ONLY_NUMBERS.issuperset(map(type, times)) and _ONLY_TEXT.issuperset(map(type, texts))):
        return None
    try:
        stamps, numbers = list(map(float, times)), list(map(float, texts))
    except (ValueError, OverflowError):
        return None
    if not all(map(math.isfinite, numbers)) or not all(map(lt, stamps, stamps[1:])):
        return None
    if stamps and not -math.inf < stamps[0] <= stamps[-1] <= latest:
        return None
    return tuple(zip(stamps, numbers, strict=True))


def _value(sample: object, *, at: datetime) -> Answer:
    read = _sample(sample)
    if read is None:
        return malformed(f"a sample that is not [time, value]: {_text(sample)}")
    time, value = read
    if _in_the_future(time, at=at):
        return malformed(f"a value from after the asked time {at:%H:%M:%S} UTC")
    if time < (at - _STALE).timestamp():
        return NoData(reason=NoDataReason.STALE_SAMPLES)
    return Value(value=value) if math.isfinite(value) else NoData(reason=NoDataReason.NOT_A_NUMBER)


def _sample(sample: object) -> tuple[float, float] | None:
    if type(sample) is not list or len(sample) != 2:  # noqa: PLR2004 - time and value
        return None
    time, value = sample
    if type(time) not in _NUMBERS or type(value) is not str:
        return None
    try:
        return float(time), float(value)
    except (ValueError, OverflowError):
        return None


def _in_the_future(time: float, *, at: datetime) -> bool:
    return time > (at + _ROUNDING).timestamp()


def _several(series: list[object]) -> Broken:
    shown = ", ".join(map(_labels, series[:_SHOWN_SERIES]))
    more = ", …" if len(series) > _SHOWN_SERIES else ""
    # The advice comes first: label sets may be long, and what is too long is cut at the end.
    return Broken(
        reason=BrokenReason.SEVERAL_SERIES,
        detail=f"{len(series)} series {_ONE_NUMBER}; narrow the selector or aggregate, such as sum(...): {shown}{more}",
    )


def _labels(series: object) -> str:
    match series:
        case {"metric": dict() as labels}:
            name = _text(labels.get("__name__", ""))
            rest = ", ".join(f'{key}="{_text(value)}"' for key, value in labels.items() if key != "__name__")
            return f"{name}{{{rest}}}"
        case _:
            return _text(series)


def _document(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    # A RecursionError is what thousands of nested brackets give.
    except (ValueError, RecursionError):
        return None


def _refuse_constant(name: str) -> Mapping[str, Any]:
    raise ValueError(f"{name} is not JSON")


def _excerpt(body: bytes) -> str:
    return repr(body[:60].decode(errors="replace"))


def _text(value: object) -> str:
    # The plain repr of what is nested thousandfold would raise; this one ends.
    return value if isinstance(value, str) else reprlib.repr(value)
