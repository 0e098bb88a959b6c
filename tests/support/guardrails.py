"""Evidence logs for tests: reads every so often, counts as short as the case allows."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from wavegate_controller.domain.guardrail import Entry, Exposure, Increment

BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def even(total: int, cohorts: int) -> tuple[int, ...]:
    """Spread over the cohorts as evenly as integers go."""
    return tuple(total // cohorts + (cohort < total % cohorts) for cohort in range(cohorts))


def increment(n_t: int, x_t: int, n_c: int, x_c: int, *, cohorts: int = 1) -> Increment:
    return Increment(
        candidate_requests=even(n_t, cohorts),
        candidate_amount=even(x_t, cohorts),
        stable_requests=even(n_c, cohorts),
        stable_amount=even(x_c, cohorts),
    )


def turn(counted: Increment, by: int) -> Increment:
    """The same counts in other cohorts."""

    def row(values: tuple[int, ...]) -> tuple[int, ...]:
        first = by % len(values)
        return values[first:] + values[:first]

    return Increment(
        candidate_requests=row(counted.candidate_requests),
        candidate_amount=row(counted.candidate_amount),
        stable_requests=row(counted.stable_requests),
        stable_amount=row(counted.stable_amount),
    )


def reads(
    increments: Iterable[Increment | Sequence[Increment]],
    *,
    wave: int = 0,
    since: datetime = BEGIN,
    tick: timedelta = MINUTE,
    exposure: Exposure | None = None,
    turning: bool = True,
) -> list[Entry]:
    """One read each `tick` after the wave's begin; `turning`, what does not divide goes to other cohorts each time."""
    return [
        Entry(
            at=since + number * tick,
            wave=wave,
            wave_since=since,
            increments=tuple(
                turn(one, number if turning else 0) for one in ((each,) if isinstance(each, Increment) else each)
            ),
            exposure=exposure,
        )
        for number, each in enumerate(increments, start=1)
    ]
