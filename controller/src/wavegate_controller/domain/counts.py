"""Exact increments of counters from raw samples: integers, whatever restarts, resets and gaps lie between two reads.

`increase()` extrapolates, is no integer and misses first samples, so decisions count for themselves
(Wavegate's data contract with Prometheus, docs/prometheus.md).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import chain
from typing import Final, NamedTuple

from wavegate.evaluation import COHORTS
from wavegate_controller.domain.guardrail import Increment
from wavegate_controller.domain.measurement import Cursor, Series

REQUESTS_METRIC: Final = "wavegate_requests_total"
BAD_METRIC: Final = "wavegate_bad_total"
VALUE_METRIC: Final = "wavegate_value_total"
EXPOSED_METRIC: Final = "wavegate_exposed_users_total"
EVALUATIONS_METRIC: Final = "wavegate_evaluations_total"
INFO_METRIC: Final = "wavegate_client_info"
PEOPLE_METRIC: Final = "wavegate_pilot_requests_total"

#: The cohort of users who have their variant for who they are. They were not drawn, so they are not compared.
_TARGETED: Final = "targeted"
#: Labels by which copies of one series differ when several Prometheus scrape the same app.
_REPLICA_LABELS: Final = frozenset({"prometheus_replica", "replica", "receive_replica"})
#: How long the place of a vanished series is kept.
REMEMBERED: Final = timedelta(days=1)
_COHORT_NUMBERS: Final = {str(number): number for number in range(COHORTS)}


class CounterKey(NamedTuple):
    """What a counter counts; the instance that counted it does not matter.

    Attributes:
        metric: its name.
        kind: of bad outcome or value; empty where there is none.
        variant: that was served.
        cohort: of the user; None where the counter does not say.
    """

    metric: str
    kind: str
    variant: str
    cohort: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """Which of the SDK's counters a gate, a rollout or several of them want; requests always.

    Attributes:
        bad: kinds of bad outcomes.
        values: kinds of values.
        exposed: whether newly exposed users are wanted.
    """

    bad: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    exposed: bool = False

    def __or__(self, other: "Needs") -> "Needs":
        return Needs(bad=self.bad | other.bad, values=self.values | other.values, exposed=self.exposed or other.exposed)

    @property
    def kinds(self) -> Mapping[str, frozenset[str]]:
        """Metric to the kinds that are wanted of it; the empty kind where it has none."""
        none = frozenset({""})
        wanted = {REQUESTS_METRIC: none, BAD_METRIC: self.bad, VALUE_METRIC: self.values}
        return {metric: kinds for metric, kinds in wanted.items() if kinds} | (
            {EXPOSED_METRIC: none} if self.exposed else {}
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class CounterSelector:
    """The counters of some flags: one question to the metrics server, however many they are."""

    flags: tuple[str, ...]
    needs: Needs

    @property
    def promql(self) -> str:
        """As an instant vector selector.

        One for all metrics, so that they are read at one time. A matcher of the empty `kind` takes what has none.
        """
        kinds = sorted(frozenset().union(*self.needs.kinds.values()))
        flags = sorted(set(self.flags))
        matchers = [
            f'__name__=~"{"|".join(self.needs.kinds)}"',
            f"flag={_quoted(flags[0])}" if len(flags) == 1 else f"flag=~{_quoted('|'.join(map(_literal, flags)))}",
            f"kind=~{_quoted('|'.join(map(_literal, kinds)))}",
            f'cohort!="{_TARGETED}"',
        ]
        return "{" + ",".join(matchers) + "}"

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is meant."""
        return (
            labels.get("flag") in self.flags
            and labels.get("kind", "") in self.needs.kinds.get(labels.get("__name__", ""), ())
            and labels.get("cohort") != _TARGETED
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Increments:
    """What the counters of one flag counted between two reads, all instances together.

    Attributes:
        amounts: without those that are 0. Whole numbers, except for the sums of values.
        newest_sample_at: time of the newest sample seen so far; None while there was never one.
    """

    amounts: Mapping[CounterKey, float]
    newest_sample_at: datetime | None
    _arms: dict[tuple[str, str, str], dict[int | None, float]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    _rows: dict[tuple[str | float, ...], tuple[int, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        arms = self._arms
        for (metric, kind, variant, cohort), amount in self.amounts.items():
            arm = arms.get((metric, kind, variant))
            if arm is None:
                arm = arms[metric, kind, variant] = {}
            arm[cohort] = amount

    def by_cohort(self, metric: str, variant: str, *, kinds: Iterable[str] = ("",)) -> Mapping[int | None, float]:
        """The amounts of one arm, kinds added up, by cohort; those that are 0 are left out."""
        arms = [arm for kind in sorted(set(kinds)) if (arm := self._arms.get((metric, kind, variant)))]
        if len(arms) <= 1:
            return arms[0] if arms else {}
        sums: dict[int | None, float] = {}
        for arm in arms:
            for cohort, amount in arm.items():
                sums[cohort] = sums.get(cohort, 0) + amount
        return sums

    def row(
        self, metric: str, variant: str, kinds: Sequence[str], *, cohorts: int, unit: float = 1.0
    ) -> tuple[int, ...]:
        """The amounts of one arm for each cohort, in steps of the unit; with one cohort all together."""
        place: tuple[str | float, ...] = (metric, variant, *kinds, cohorts, unit)
        if place not in self._rows:  # all gates that compare want the requests
            row = [0] * cohorts
            if cohorts == 1:
                row[0] = round(self.total(metric, variant, kinds=kinds) / unit)
            else:
                for cohort, amount in self.by_cohort(metric, variant, kinds=kinds).items():
                    if cohort is not None:
                        row[cohort] = round(amount / unit)
            self._rows[place] = tuple(row)
        return self._rows[place]

    def lacks_cohorts(self, metrics: Sequence[str], variants: Sequence[str]) -> bool:
        """Whether any of these counters does not say which cohort it counts."""
        return any(
            None in arm for (metric, _, variant), arm in self._arms.items() if metric in metrics and variant in variants
        )

    def total(self, metric: str, variant: str, *, kinds: Iterable[str] = ("",)) -> float:
        """As above, all cohorts together."""
        return sum(self.by_cohort(metric, variant, kinds=kinds).values())


def advance(cursor: Cursor | None, series: Iterable[Series], *, at: datetime) -> tuple[Increments, Cursor]:
    """What the series counted since the cursor, and the cursor after it.

    Without a cursor this read is the starting line: nothing counts yet. Later, a series that was never seen starts
    from 0, since the SDK shows each counter from 0 on; a value lower than the one before is a process that started
    again, and all of it is new. A series that vanished keeps its place for a day, in case it was only not scraped.

    Args:
        cursor: of the read before; None at the first.
        series: raw samples of one flag, which may reach back behind the cursor.
        at: time of this read.
    """
    last = dict(cursor.last) if cursor else {}
    amounts: dict[CounterKey, float] = {}
    for each in series:
        place = series_key(each.labels)
        if cursor is None:
            last[place] = each.samples[-1]
            continue
        seen_at, value = last.get(place, (float("-inf"), 0.0))
        total = 0.0
        for sampled_at, sample in each.samples:
            if sampled_at > seen_at:
                total += sample - value if sample >= value else sample
                seen_at, value = sampled_at, sample
        last[place] = (seen_at, value)
        if total:
            key = counter_key(each.labels)
            amounts[key] = amounts.get(key, 0) + (total if key.metric == VALUE_METRIC else round(total))
    newest = max((sampled_at for sampled_at, _ in last.values()), default=None)
    oldest = (at - REMEMBERED).timestamp()
    return (
        Increments(amounts=amounts, newest_sample_at=None if newest is None else datetime.fromtimestamp(newest, UTC)),
        Cursor(read_at=at, last={place: sample for place, sample in last.items() if sample[0] > oldest}),
    )


def series_key(labels: Mapping[str, str]) -> int:
    """A series in 64 bits, the same in every process: cursors are kept by it, and the labels would be most of them."""
    text = "\0".join(chain.from_iterable(sorted(labels.items())))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def counter_key(labels: Mapping[str, str]) -> CounterKey:
    """What a series with these labels counts."""
    get = labels.get
    return CounterKey(get("__name__", ""), get("kind", ""), get("variant", ""), _COHORT_NUMBERS.get(get("cohort", "")))


def missing(series: Iterable[Series], needs: Needs) -> str | None:
    """Which counters should stand beside others of the same variant and do not; None when all do.

    The SDK shows all of them from 0 on, and of each kind as many as of requests. So what is absent is no 0: failures
    that were dropped on the way would make a perfect rate, and failures without their requests a terrible one.
    """
    present = Counter((key.metric, key.kind, key.variant) for key in (counter_key(each.labels) for each in series))
    for variant in sorted({variant for _, _, variant in present}):
        requests = present[REQUESTS_METRIC, "", variant]
        for metric, kinds in needs.kinds.items():
            for kind in sorted(kinds):
                number = present[metric, kind, variant]
                if metric != EXPOSED_METRIC and number > requests:
                    return f'{REQUESTS_METRIC}{{variant="{variant}"}}'
                if number < (bool(requests) if metric == EXPOSED_METRIC else requests):
                    return f'{metric}{{{f"""kind="{kind}",""" if kind else ""}variant="{variant}"}}'
    return None


def copies(series: Iterable[Series]) -> str | None:
    """The label by which series differ that are the same counter, scraped by several Prometheus; None without any."""
    seen: dict[int, str] = {}
    for each in series:
        if _REPLICA_LABELS.isdisjoint(each.labels):
            continue
        for label in sorted(_REPLICA_LABELS & each.labels.keys()):
            same = series_key({name: value for name, value in each.labels.items() if name != label} | {"": label})
            if seen.setdefault(same, each.labels[label]) != each.labels[label]:
                return label
    return None


def compared(
    increments: Increments,
    *,
    candidate: str,
    stable: str,
    metric: str,
    kinds: Sequence[str],
    cohorts: int,
    unit: float = 1.0,
) -> Increment | None:
    """Requests of both variants and amounts of a metric, by cohort; None where the counters do not say which.

    Args:
        increments: of one flag.
        candidate: the variant.
        stable: the variant.
        metric: what is compared, per request.
        kinds: which of it.
        cohorts: into how many the arms are split; with 1 all count together.
        unit: steps in which amounts are kept.
    """
    if cohorts > 1 and increments.lacks_cohorts((REQUESTS_METRIC, metric), (candidate, stable)):
        return None
    return Increment(
        candidate_requests=increments.row(REQUESTS_METRIC, candidate, ("",), cohorts=cohorts),
        candidate_amount=increments.row(metric, candidate, kinds, cohorts=cohorts, unit=unit),
        stable_requests=increments.row(REQUESTS_METRIC, stable, ("",), cohorts=cohorts),
        stable_amount=increments.row(metric, stable, kinds, cohorts=cohorts, unit=unit),
    )


def _literal(text: str) -> str:
    """For RE2. Only what means something is escaped: older servers look up plain alternatives without any regex."""
    return "".join("\\" + each if each in _MEANINGFUL else each for each in text)


_MEANINGFUL: Final = frozenset(r"\.+*?()|[]{}^$")


def _quoted(text: str) -> str:
    """As a PromQL string literal, https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
