"""What is expected to happen out there, in the terms of the gates that compare."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.guardrail import GuardrailMetric, MetricKind

#: Half of all requests bad is no base rate that a comparison of rare outcomes is made for, but it can be tried.
_MOST_BAD = 0.9


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """What one request adds to one metric.

    Attributes:
        mean: share of bad outcomes, or the mean of a value.
        spread: of a value from request to request, as a share of its mean; nothing for bad outcomes.
        clumping: by how much outcomes come in clumps (the design effect): 1 where each stands for itself.
    """

    mean: float
    spread: float = 0.0
    clumping: float = 1.0

    def __post_init__(self) -> None:
        for name, value, least in (
            ("mean", self.mean, 0.0),
            ("spread", self.spread, 0.0),
            ("clumping", self.clumping, 1.0),
        ):
            if not (math.isfinite(value) and value >= least):
                raise Invalid(name, f"{value} is out of range", f"{least:g} or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """What is expected of one flag.

    Attributes:
        requests_per_second: of both variants together.
        metrics: name of a metric of the comparison to what a request adds to it.
        users: distinct users a day; None where nobody knows.
    """

    requests_per_second: float
    metrics: Mapping[str, Expected] = field(default_factory=dict)
    users: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.requests_per_second) and self.requests_per_second > 0):
            raise Invalid("traffic", f"{self.requests_per_second:g} requests a second is none", "more than 0")

    def of(self, metric: GuardrailMetric) -> Expected:
        """Of one metric.

        Raises:
            Invalid: nothing is known of it, or it is no base rate.
        """
        expected = self.metrics.get(metric.name)
        if expected is None:
            raise Invalid(f"base.{metric.name}", "is not known", "traffic that is counted, or --base NAME=RATE")
        if metric.kind is not MetricKind.MEAN and expected.mean > _MOST_BAD:
            raise Invalid(
                f"base.{metric.name}", f"{expected.mean:g} is no share of bad outcomes", f"{_MOST_BAD:g} at most"
            )
        return expected

    def with_metrics(self, metrics: Mapping[str, Expected]) -> "Traffic":
        """With these in the place of what was known."""
        return replace(self, metrics={**self.metrics, **metrics})


def clumping(requests: Sequence[float], bad: Sequence[float]) -> float:
    """How much more the cohorts' bad outcomes vary than outcomes that stand for themselves would; 1 at least."""
    pairs = [(n, x) for n, x in zip(requests, bad, strict=True) if n > 0]
    total = sum(x for _, x in pairs)
    if len(pairs) < 2 or not total:  # noqa: PLR2004 - one cohort has nobody to differ from
        return 1.0
    rate = total / sum(n for n, _ in pairs)
    return max(1.0, sum((x - rate * n) ** 2 / (rate * n) for n, x in pairs) / (len(pairs) - 1))


def spread(requests: Sequence[float], sums: Sequence[float]) -> float:
    """How much a value varies from request to request, as a share of its mean, told by how the cohorts' means do."""
    pairs = [(n, y) for n, y in zip(requests, sums, strict=True) if n > 0]
    total = sum(y for _, y in pairs)
    if len(pairs) < 2 or not total:  # noqa: PLR2004 - as above
        return 0.0
    mean = total / sum(n for n, _ in pairs)
    return math.sqrt(sum(n * (y / n - mean) ** 2 for n, y in pairs) / (len(pairs) - 1)) / mean
