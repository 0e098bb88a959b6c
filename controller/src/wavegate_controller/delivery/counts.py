"""Counts of apps that nobody scrapes, added up in memory until Prometheus scrapes the controller for them.

They begin at 0 when the controller starts, as the counters of any process do.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeAlias, TypeVar, get_args

from wavegate_controller.documents.counts import (
    BOUNDS,
    PLACES,
    ArmDocument,
    BadKind,
    CountsDocument,
    EvaluationsDocument,
    ValueKind,
)

Number = TypeVar("Number", int, float)
#: Answers by flag, variant and reason, and users exposed by flag and variant.
Served: TypeAlias = tuple[Mapping[tuple[str, str, str], int], Mapping[tuple[str, str], int]]

#: Instances whose last number is remembered. Beyond it the one that was silent longest is forgotten, and if it comes
#: back with a document that had been taken but not answered, that one counts twice.
_MOST_INSTANCES: Final = 100_000


@dataclass(slots=True)
class ArmTotals:
    """Sums of one variant, over all instances; each list by cohort has its last place for targeted users."""

    requests: list[int] = field(default_factory=lambda: [0] * PLACES)
    bad: dict[str, list[int]] = field(default_factory=lambda: {kind: [0] * PLACES for kind in get_args(BadKind)})
    values: dict[str, list[float]] = field(
        default_factory=lambda: {kind: [0.0] * PLACES for kind in get_args(ValueKind)}
    )
    duration_buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    duration_sum: float = 0.0
    exposed_users: int = 0

    def add(self, arm: ArmDocument) -> None:
        """What came in addition."""
        _add(self.requests, arm.requests)
        for kind, counts in arm.bad.items():
            _add(self.bad[kind], counts)
        for value, amounts in arm.values.items():
            _add(self.values[value], amounts)
        _add(self.duration_buckets, arm.duration_buckets)
        self.duration_sum += arm.duration_sum
        self.exposed_users += arm.exposed_users


@dataclass(slots=True)
class Totals:
    """Sums of one environment.

    Attributes:
        evaluations: by flag, variant and reason.
        arms: by flag and variant.
    """

    evaluations: dict[tuple[str, str, str], int] = field(default_factory=dict)
    arms: dict[tuple[str, str], ArmTotals] = field(default_factory=dict)


class TakesCounts(Protocol):
    """Where posted documents go."""

    def take(self, document: CountsDocument, *, environment: str, variants: Mapping[str, frozenset[str]]) -> bool:
        """Count a document, once; False for one that was taken before."""


class PostedCounts:
    """The sums; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: OrderedDict[str, int] = OrderedDict()
        self._served: list[Callable[[], Mapping[str, Served]]] = []
        self._totals: dict[str, Totals] = {}

    def include(self, served: Callable[[], Mapping[str, Served]]) -> None:
        """Count along what this process answered itself, by environment."""
        self._served.append(served)

    def take(self, document: CountsDocument, *, environment: str, variants: Mapping[str, frozenset[str]]) -> bool:
        """Add a document, once; False for one that was taken before.

        Args:
            document: as it was posted.
            environment: whose key was shown.
            variants: flag key to the variants of the ruleset in force. Others are left out: a label that anybody
                could make up would grow without bound.
        """
        with self._lock:
            if document.sequence <= self._last.get(document.instance, 0):
                return False
            self._last[document.instance] = document.sequence
            self._last.move_to_end(document.instance)
            if len(self._last) > _MOST_INSTANCES:
                self._last.popitem(last=False)
            totals = self._totals.setdefault(environment, Totals())
            for arm in document.arms:
                if arm.variant in variants.get(arm.flag, ()):
                    totals.arms.setdefault((arm.flag, arm.variant), ArmTotals()).add(arm)
            for answers in document.evaluations:
                if is_known(answers, variants):
                    key = (answers.flag, answers.variant, answers.reason.value)
                    totals.evaluations[key] = totals.evaluations.get(key, 0) + answers.count
        return True

    def thumb(self, environment: str, flag: str, variant: str, place: int, *, up: bool) -> None:
        """Count what one person said, in the cohort's place.

        Args:
            environment: whose key was shown.
            flag: one that it has.
            variant: one that the flag has.
            place: of the person's cohort in lists by cohort.
            up: whether it was a thumb up.
        """
        with self._lock:
            arm = self._totals.setdefault(environment, Totals()).arms.setdefault((flag, variant), ArmTotals())
            if up:
                arm.values["thumbs_up"][place] += 1
            else:
                arm.bad["thumbs_down"][place] += 1

    def totals(self) -> Mapping[str, Totals]:
        """The sums at one moment by environment, not to be changed."""
        with self._lock:
            found = {
                name: Totals(evaluations=dict(totals.evaluations), arms=dict(totals.arms))
                for name, totals in self._totals.items()
            }
        for served in self._served:
            for name, (given, exposed) in served().items():
                totals = found.setdefault(name, Totals())
                for answers, count in given.items():
                    totals.evaluations[answers] = totals.evaluations.get(answers, 0) + count
                for arm, users in exposed.items():
                    posted = totals.arms.get(arm) or ArmTotals()
                    totals.arms[arm] = replace(posted, exposed_users=posted.exposed_users + users)
        return found


def is_known(answers: EvaluationsDocument, variants: Mapping[str, frozenset[str]]) -> bool:
    """Whether a ruleset has it.

    An empty variant is the default in the app's code; an empty flag is one that its ruleset does not have.
    """
    if not answers.flag:
        return not answers.variant
    return answers.flag in variants and (not answers.variant or answers.variant in variants[answers.flag])


def _add(totals: list[Number], counts: list[Number]) -> None:
    for place, count in enumerate(counts):
        totals[place] += count
