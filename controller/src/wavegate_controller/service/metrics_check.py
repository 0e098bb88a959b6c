"""Whether the metrics server can be used: it answers, its clock agrees with ours, and it scrapes who it should."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.measurement import Answer, Broken, Value
from wavegate_controller.ports import MetricProvider
from wavegate_controller.service.services import Services

_MOST_SKEW: Final = 5.0
_MOST_STALE: Final = 120.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        do: what to do about it; empty where nothing is to be done.
    """

    check: str
    state: Literal["ok", "warning", "failed"]
    found: str
    do: str = ""


def check_metrics(services: Services, *, by: Principal) -> Sequence[Finding]:
    """Ask the metrics server, now.

    Raises:
        Forbidden: they may not.
    """
    by.require(Permission.EDIT, services.environment)
    if services.provider.notice:
        return [Finding(check="metrics server", state="warning", found=services.provider.notice)]
    return list(examine(services.provider, services.clock.now, found="the metrics server answers"))


def examine(provider: MetricProvider, now: Callable[[], datetime], *, found: str) -> Iterator[Finding]:
    """Whether it can be used, check by check; the rest is left out where it does not answer at all.

    Args:
        provider: a Prometheus, or what speaks its API.
        now: tells the time.
        found: what to say where it answers.
    """
    answer = provider.query("vector(1)", at=now())
    if not isinstance(answer, Value):
        said = answer.detail if isinstance(answer, Broken) else "it gives no answer"
        do = "start it, or mend prometheus_url and its credentials; until then every gate holds"
        yield Finding(check="metrics server", state="failed", found=said, do=do)
        return
    yield Finding(check="metrics server", state="ok", found=found)
    yield _skew(provider, now)
    yield _counted(
        provider.query("count(wavegate_controller_tick_seconds_count)", at=now()),
        check="own metrics",
        found="controllers are scraped",
        do="let the metrics server scrape the controllers at /metrics; without it, nobody sees them fail",
    )
    yield _counted(
        provider.query("count(wavegate_ruleset_revision)", at=now()),
        check="apps",
        found="processes with the SDK are scraped",
        do="let the metrics server scrape the apps, or let them post their counts (docs/prometheus.md)",
    )


def _skew(provider: MetricProvider, now: Callable[[], datetime]) -> Finding:
    """Samples are stamped by the metrics server's clock; one from our future, or none for long, tells on a clock."""
    answer = provider.query("max(timestamp(up))", at=now() + timedelta(minutes=4))
    check = "time"
    if not isinstance(answer, Value):
        do = "let the metrics server scrape something: it has no samples of the last minutes"
        return Finding(check=check, state="warning", found="the clocks cannot be compared", do=do)
    ahead = answer.value - now().timestamp()
    if ahead > _MOST_SKEW:
        found = f"the metrics server's clock is {ahead:.0f} s ahead of this machine's"
        return Finding(check=check, state="failed", found=found, do="let both follow NTP: evidence would be misdated")
    if -ahead > _MOST_STALE:
        found = f"the newest sample is {-ahead:.0f} s old by this machine's clock"
        do = "look whether scrapes have stopped, or this machine's clock is ahead; let both follow NTP"
        return Finding(check=check, state="failed", found=found, do=do)
    return Finding(check=check, state="ok", found=f"the newest sample is {max(0.0, -ahead):.0f} s old")


def _counted(answer: Answer, *, check: str, found: str, do: str) -> Finding:
    if isinstance(answer, Value) and answer.value > 0:
        return Finding(check=check, state="ok", found=f"{answer.value:.0f} {found}")
    return Finding(check=check, state="warning", found=f"no {found}", do=do)
