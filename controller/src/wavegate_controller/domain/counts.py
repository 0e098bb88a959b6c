"""Exact increments of counters from raw samples: integers, whatever restarts, resets and gaps lie between two reads.

`increase()` extrapolates, is no integer and misses first samples, so decisions count for themselves
(Wavegate's data contract with Prometheus, docs/prometheus.md).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from wavegate_controller.domain.measurement import ArmCounts, Counts, Cursor, Series

REQUESTS_METRIC = "wavegate_requests_total"
BAD_METRIC = "wavegate_bad_total"


def advance(
    cursor: Cursor | None, series: Iterable[Series], *, at: datetime
) -> tuple[list[tuple[Mapping[str, str], int]], Cursor]:
    """What each series counted since the cursor, and the cursor after it.

    Without a cursor this read is the starting line: nothing counts yet. Later, a series that was never seen starts
    from 0, since the SDK shows each counter from 0 on; a value lower than the one before is a process that started
    again, and all of it is new. A series that vanished keeps its place, in case a scrape was missed.

    Args:
        cursor: of the read before; None at the first.
        series: raw samples, which may reach back behind the cursor.
        at: time of this read.
    """
    last = dict(cursor.last) if cursor else {}
    increments: list[tuple[Mapping[str, str], int]] = []
    for each in series:
        key = json.dumps(each.labels, sort_keys=True)
        if cursor is None:
            last[key] = each.samples[-1]
            continue
        seen_at, value = last.get(key, (float("-inf"), 0.0))
        total = 0.0
        for sampled_at, sample in each.samples:
            if sampled_at <= seen_at:
                continue
            total += sample - value if sample >= value else sample
            seen_at, value = sampled_at, sample
        last[key] = (seen_at, value)
        increments.append((each.labels, round(total)))
    return increments, Cursor(read_at=at, last=last)


def by_arm(
    increments: Sequence[tuple[Mapping[str, str], int]],
    *,
    candidate: str,
    stable: str,
    kinds: Sequence[str],
    cursor: Cursor,
) -> Counts:
    """Sum the increments of both variants over instances and cohorts; variants outside the rollout do not count."""

    def arm(variant: str) -> ArmCounts:
        mine = [(labels, amount) for labels, amount in increments if labels.get("variant") == variant]
        return ArmCounts(
            requests=sum(amount for labels, amount in mine if labels.get("__name__") == REQUESTS_METRIC),
            bad=sum(
                amount
                for labels, amount in mine
                if labels.get("__name__") == BAD_METRIC and labels.get("kind") in kinds
            ),
        )

    newest = max((sampled_at for sampled_at, _ in cursor.last.values()), default=None)
    return Counts(
        candidate=arm(candidate),
        stable=arm(stable),
        newest_sample_at=None if newest is None else datetime.fromtimestamp(newest, UTC),
    )
