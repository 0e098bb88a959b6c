"""Looking at the gates of a plan with the metrics server at hand, before they judge anybody."""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from wavegate_controller.documents.duration import format_duration
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.foresight.findings import Finding, Rule
from wavegate_controller.domain.foresight.selectors import Selector, divides_by_a_query, has_alternatives, selectors
from wavegate_controller.domain.gates import AlertGate, Gate, ManualGate, ThresholdGate, WebhookGate
from wavegate_controller.domain.measurement import Broken, BrokenReason, Judgement, Series
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.ports import MetricHistory, Webhooks
from wavegate_controller.service.measure import threshold_query
from wavegate_controller.service.traffic import NotAnswered, measure_traffic
from wavegate_controller.service.webhooks import question

#: Whether anybody is there to be asked.
_COSTS_NOTHING: Final = "vector(1)"
_FORTNIGHT: Final = timedelta(days=14)
_STEP: Final = timedelta(minutes=15)
#: How far back counters and scrapes are looked for.
_RECENT: Final = timedelta(minutes=15)
#: Fewer scrapes in a range than this make a rate a matter of luck.
_LEAST_SCRAPES: Final = 4
#: Of fewer values nobody can say what is usual.
_LEAST_VALUES: Final = 3
#: A limit so many times as far out as anything was in a fortnight is not a limit of this.
_FAR: Final = 10.0
#: Milliseconds and seconds are a thousandfold apart; what is usual varies by less than the rest of it.
_THOUSANDFOLD: Final = (200.0, 5000.0)
_TIMES: Final = ("seconds", "milliseconds", "_ms")
#: What a query must say to be of one flag and one variant.
_PLACEHOLDERS: Final = ("{{flag}}", "{{candidate}}")
#: Of several series so many are named.
_SHOWN: Final = 3


class _Finding(Protocol):
    """Makes a finding about the gate that is looked at."""

    def __call__(self, rule: Rule, found: str, *, is_guess: bool = False) -> Finding: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """A selector, and what there is of it.

    Attributes:
        asked: as the gate has it.
        now: what can be looked at now: stable's, where there is nothing of the candidate yet.
        is_there: whether anything is; also where nobody could say.
    """

    asked: Selector
    now: Selector
    is_there: bool
    is_unseen: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Lint:
    """What a plan's gates are looked at with.

    Attributes:
        rollout: that the plan would be in its first wave.
        pause: waits between two looks for the answer of a webhook.
        elsewhere: other environments, whose counts are not this rollout's.
    """

    history: MetricHistory
    webhooks: Webhooks
    rollout: Rollout
    now: datetime
    pause: Callable[[], None]
    elsewhere: frozenset[str] = frozenset()

    def findings(self) -> Iterator[tuple[str, tuple[Finding, ...]]]:
        """Gate by gate, what is wrong with it."""
        down = self.history.vector(_COSTS_NOTHING, at=self.now)
        compared = self.rollout.plan.compared
        for gate in self.rollout.plan.gates:
            found: Iterator[Finding] = iter(())
            if isinstance(gate, WebhookGate):
                found = self._webhook(gate)
            elif not isinstance(down, Broken):
                found = self._gate(gate, is_first=gate in compared[:1])
            elif not isinstance(gate, ManualGate):
                found = iter((*seen_in_text(gate, self.rollout), cannot_look(gate, down.detail)))
            yield gate.name, tuple(found)

    def _gate(self, gate: Gate, *, is_first: bool) -> Iterator[Finding]:
        match gate:
            case ThresholdGate():
                yield from self._threshold(gate)
            case AlertGate():
                yield from self._alert(gate)
            case _ if is_first:
                yield from self._counters()
            case _:
                pass

    def _counters(self) -> Iterator[Finding]:
        """Gates that compare, all in one: they are read with one question."""
        compared = self.rollout.plan.compared
        if not compared:
            return
        try:
            measure_traffic(
                self.history,
                self.rollout.plan,
                self.rollout.flag_key,
                stable=None,
                at=self.now,
                over=_RECENT,
                elsewhere=self.elsewhere,
            )
        except NotAnswered as refusal:
            yield Finding(rule=Rule.CANNOT_LOOK, gate=compared[0].name, found=refusal.problem)
        except Invalid as refusal:
            yield Finding(rule=Rule.COUNTERS_MISSING, gate=compared[0].name, found=refusal.problem)

    def _alert(self, gate: AlertGate) -> Iterator[Finding]:
        problem = self.history.alert_rule(gate.alert)
        if problem is None:
            return
        known = problem.reason in (BrokenReason.NO_SUCH_ALERT, BrokenReason.ALERT_RULE_FAILS)
        yield Finding(rule=Rule.ALERT_UNKNOWN if known else Rule.CANNOT_LOOK, gate=gate.name, found=problem.detail)

    def _webhook(self, gate: WebhookGate) -> Iterator[Finding]:
        asked: Judgement | Broken | None = None
        while asked is None:
            body = question(gate, self.rollout, now=self.now)
            key = f"lint {self.rollout.id} {gate.name}"
            asked = self.webhooks.ask(key, gate.url, body, timeout=gate.timeout, now=self.now)
            if asked is None:
                self.pause()
        if isinstance(asked, Broken):
            yield Finding(rule=Rule.WEBHOOK_SILENT, gate=gate.name, found=f"{gate.url}: {asked.detail}")

    def _threshold(self, gate: ThresholdGate) -> Iterator[Finding]:
        query = threshold_query(gate, self.rollout)

        def finding(rule: Rule, found: str, *, is_guess: bool = False) -> Finding:
            return Finding(rule=rule, gate=gate.name, found=found, is_guess=is_guess)

        if problem := self.history.check(query):
            yield finding(Rule.QUERY_REJECTED, problem.detail)
            return
        yield from _scope_and_division(gate, query)
        found = self._seen(gate, query)
        alternatives = has_alternatives(query)
        for each in found:
            yield from self._selector(each, finding, alternatives=alternatives)
        yield from self._between_edges(gate, [each.now for each in found], finding)
        now = self.history.vector(query, at=self.now)
        if now == () and any(each.is_unseen for each in found):
            now = self.history.vector(threshold_query(gate, _without_candidate(self.rollout)), at=self.now)
        if isinstance(now, Broken):
            yield finding(Rule.CANNOT_LOOK, now.detail)
            return
        if len(now) > 1:
            shown = ", ".join(_labels(each.labels) for each in now[:_SHOWN])
            yield finding(Rule.SEVERAL_SERIES, f"{len(now)} series: {shown}{', …' if len(now) > _SHOWN else ''}")
        yield from self._past(gate, query, finding)

    def _seen(self, gate: ThresholdGate, query: str) -> list[_Seen]:
        """The selectors of its expression; stable's in place of a candidate's that nobody was given yet."""
        stable = selectors(threshold_query(gate, _without_candidate(self.rollout)))
        found: dict[Selector, _Seen] = {}
        for asked, instead in zip(selectors(query), stable, strict=True):
            if asked in found:
                continue
            number = self._count(asked.promql)
            is_unseen = number == 0 and instead != asked and self._count(instead.promql) > 0
            found[asked] = _Seen(
                asked=asked, now=instead if is_unseen else asked, is_there=number != 0 or is_unseen, is_unseen=is_unseen
            )
        return list(found.values())

    def _selector(self, seen: _Seen, finding: _Finding, *, alternatives: bool) -> Iterator[Finding]:
        """What is wrong with one of the series that an expression is made of."""
        selector = seen.now
        wrong_edges = list(self._edges(selector, finding)) if selector.name.endswith("_bucket") else []
        yield from wrong_edges
        if seen.is_unseen:
            yield finding(Rule.CANDIDATE_UNSEEN, f"{seen.asked.promql} matches nothing yet, {selector.promql} does")
        elif not seen.is_there and not wrong_edges:
            yield self._why_nothing(selector, finding, alternatives=alternatives)
        kind = self.history.kind_of(_family(selector.name)) if selector.name else None
        yield from _of_its_kind(selector, kind, finding)
        if seen.is_there and selector.range is not None:
            yield from self._range(selector, selector.range, finding)

    def _why_nothing(self, selector: Selector, finding: _Finding, *, alternatives: bool) -> Finding:
        if selector.name and self._count(selector.name):
            for label, sign, _ in selector.matchers:
                if label != "__name__" and sign in ("=", "=~") and not self._count(f'{selector.name}{{{label}!=""}}'):
                    return finding(Rule.LABEL_MISSING, f"{selector.name} has no label {label}")
            found = f"{selector.promql} matches nothing now, though {selector.name} is there"
        else:
            found = f"{selector.promql} matches nothing now"
        # Where another may stand in for it, as errors that never happened yet, it may be a slip, and holds nothing.
        return finding(Rule.NO_SERIES, found, is_guess=alternatives)

    def _range(self, selector: Selector, span: timedelta, finding: _Finding) -> Iterator[Finding]:
        span_text = format_duration(span)
        held = self.history.vector(
            f"max_over_time(max(count_over_time({selector.promql}[{span_text}]))[{format_duration(_RECENT)}:1m])",
            at=self.now,
        )
        if isinstance(held, Broken) or not held or held[0].value >= _LEAST_SCRAPES:
            return
        yield finding(Rule.RANGE_TOO_SHORT, f"{selector.name}[{span_text}] holds {held[0].value:g} scrapes at most")

    def _edges(self, selector: Selector, finding: _Finding) -> Iterator[Finding]:
        """Buckets that are asked for and are not there."""
        asked = [value for label, sign, value in selector.matchers if label == "le" and sign == "="]
        edges = self._edges_of(selector) if asked else []
        for value in asked:
            if edges and _number(value) not in edges:
                shown = ", ".join(f"{edge:g}" for edge in edges)
                yield finding(Rule.NO_BUCKET_EDGE, f'{selector.name} has no le="{value}"; its edges are {shown}')

    def _between_edges(self, gate: ThresholdGate, found: Sequence[Selector], finding: _Finding) -> Iterator[Finding]:
        """A quantile that is compared with what its histogram does not know."""
        for each in found:
            edges = self._edges_of(each) if "histogram_quantile" in each.within else []
            if edges and gate.limit not in edges:
                shown = ", ".join(f"{edge:g}" for edge in edges)
                yield finding(
                    Rule.NO_BUCKET_EDGE, f"the limit {gate.limit:g} is no edge of {each.name}; they are {shown}"
                )

    def _edges_of(self, selector: Selector) -> list[float]:
        there = self.history.vector(f"count by (le) ({selector.without('le')})", at=self.now)
        if isinstance(there, Broken):
            return []
        return sorted({_number(each.labels.get("le", "")) for each in there} - {math.inf})

    def _past(self, gate: ThresholdGate, query: str, finding: _Finding) -> Iterator[Finding]:
        """What the last fortnight says of the limit: of stable, as an earlier candidate may well have been bad."""
        series = self._series(threshold_query(gate, _without_candidate(self.rollout))) or self._series(query)
        values = [value for each in series for _, value in each.samples if math.isfinite(value)]
        if len(values) < _LEAST_VALUES:
            return
        begin, end = min(each.samples[0][0] for each in series), max(each.samples[-1][0] for each in series)
        over = f"in the last {format_duration(_rounded(timedelta(seconds=end - begin)))}"
        beyond = [each for each in values if not _holds(gate, each)]
        wants_low, usual = gate.operator.wants_low, statistics.median(values)
        furthest = max(values) if wants_low else min(values)
        if usual > 0 and gate.limit > 0 and any(part in each.name for each in selectors(query) for part in _TIMES):
            apart = max(gate.limit / usual, usual / gate.limit)
            if _THOUSANDFOLD[0] <= apart <= _THOUSANDFOLD[1]:
                yield finding(Rule.UNIT_MISMATCH, f"the limit is {gate.limit:g}, {usual:.4g} was usual {over}")
        if len(beyond) == len(values):
            yield finding(
                Rule.ALWAYS_CROSSED, f"{usual:.4g} was usual {over}, the gate wants {gate.operator} {gate.limit:g}"
            )
        elif not beyond and furthest > 0 and gate.limit > 0:
            far = gate.limit / furthest if wants_low else furthest / gate.limit
            if far > _FAR:
                said = "highest" if wants_low else "lowest"
                yield finding(Rule.NEVER_CROSSED, f"the {said} {over} was {furthest:.4g}, the limit is {gate.limit:g}")

    def _series(self, query: str) -> tuple[Series, ...]:
        """Of a fortnight, or of as much of it as the server gives at once."""
        over = _FORTNIGHT
        while True:
            series = self.history.values(query, start=self.now - over, end=self.now, step=_STEP)
            if not isinstance(series, Broken):
                return tuple(each for each in series if each.samples)
            if series.reason is not BrokenReason.TOO_LARGE or over < _STEP * 4:
                return ()
            over /= 4

    def _count(self, selector: str) -> float:
        """How many series there are; -1 where nobody could say."""
        found = self.history.vector(f"count({selector})", at=self.now)
        if isinstance(found, Broken):
            return -1
        return found[0].value if found else 0


def lint(
    history: MetricHistory,
    webhooks: Webhooks,
    rollout: Rollout,
    *,
    now: datetime,
    pause: Callable[[], None],
    elsewhere: frozenset[str] = frozenset(),
) -> tuple[Finding, ...]:
    """What is wrong with the gates of a rollout's plan, in their order."""
    looking = Lint(history=history, webhooks=webhooks, rollout=rollout, now=now, pause=pause, elsewhere=elsewhere)
    return tuple(each for _, found in looking.findings() for each in found)


def seen_in_text(gate: Gate, rollout: Rollout) -> Iterator[Finding]:
    """What is wrong with a gate by its words alone, with nobody to ask."""
    if not isinstance(gate, ThresholdGate):
        return

    def finding(rule: Rule, found: str, *, is_guess: bool = False) -> Finding:
        return Finding(rule=rule, gate=gate.name, found=found, is_guess=is_guess)

    query = threshold_query(gate, rollout)
    yield from _scope_and_division(gate, query)
    for selector in dict.fromkeys(selectors(query)):
        yield from _of_its_kind(selector, None, finding)


def cannot_look(gate: Gate, why: str) -> Finding:
    """That a gate was not looked at with the metrics server."""
    return Finding(rule=Rule.CANNOT_LOOK, gate=gate.name, found=why)


def gates_without_findings(findings: Sequence[Finding], gates: Sequence[Gate]) -> list[str]:
    """The gates that nothing was found about."""
    found = {each.gate for each in findings}
    return [gate.name for gate in gates if gate.name not in found]


def _scope_and_division(gate: ThresholdGate, query: str) -> Iterator[Finding]:
    missing = [each for each in _PLACEHOLDERS if each not in gate.query.replace(" ", "")]
    if missing:
        found = f"the query does not say {' nor '.join(missing)}"
        yield Finding(rule=Rule.NOT_SCOPED, gate=gate.name, found=found)
    if divides_by_a_query(query):
        found = "it is divided by something that is 0 without traffic"
        yield Finding(rule=Rule.DIVISION_BY_ZERO, gate=gate.name, found=found)


def _of_its_kind(selector: Selector, kind: str | None, finding: _Finding) -> Iterator[Finding]:
    """What is wrong with how a metric is used; where nobody knows what it is, by its name."""
    named = selector.looks_like_a_counter
    counts = kind == "counter" or (kind in ("histogram", "summary", None) and named)
    if counts and selector.counted is None and not selector.is_only_seen:
        found = f"{selector.name} is a counter, taken as it stands"
        yield finding(Rule.COUNTER_WITHOUT_RATE, found, is_guess=kind is None and not selector.is_counter_by_name)
    if selector.counted and (kind == "gauge" or (kind is None and selector.name and not named)):
        told = "is a gauge" if kind else "has no counter's name"
        found = f"{selector.counted}() of {selector.name}, which {told}"
        yield finding(Rule.RATE_OF_GAUGE, found, is_guess=kind is None)


def _holds(gate: ThresholdGate, value: float) -> bool:
    return {
        "<": value < gate.limit,
        "<=": value <= gate.limit,
        ">": value > gate.limit,
        ">=": value >= gate.limit,
    }[gate.operator.value]


def _rounded(time: timedelta) -> timedelta:
    whole = next((each for each in (timedelta(days=1), timedelta(hours=1)) if time > 2 * each), timedelta(minutes=1))
    return max(round(time / whole), 1) * whole


def _without_candidate(rollout: Rollout) -> Rollout:
    return replace(rollout, candidate=rollout.stable)


def _family(name: str) -> str:
    """The name that metadata know a series by: a histogram's three have one."""
    for end in ("_bucket", "_count", "_sum"):
        if name.endswith(end):
            return name.removesuffix(end)
    return name


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}"
