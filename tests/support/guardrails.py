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


def reads(
    increments: Iterable[Increment | Sequence[Increment]],
    *,
    wave: int = 0,
    since: datetime = BEGIN,
    tick: timedelta = MINUTE,
    exposure: Exposure | None = None,
) -> list[Entry]:
    """One read each `tick` after the wave's begin."""
    return [
        Entry(
            at=since + number * tick,
            wave=wave,
            wave_since=since,
            increments=(each,) if isinstance(each, Increment) else tuple(each),
            exposure=exposure,
        )
        for number, each in enumerate(increments, start=1)
    ]
