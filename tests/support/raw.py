"""Raw samples of made-up counters, as a server would give them: restarts, gaps and silences among them."""

from bisect import bisect_right
from datetime import UTC, datetime

from wavegate_controller.domain.counts import BAD_METRIC, REQUESTS_METRIC, VALUE_METRIC
from wavegate_controller.domain.measurement import Broken, BrokenReason, Series

FLAG = "flag"
BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Raw:
    """Samples as a server keeps them; gives no more than so many at once."""

    def __init__(self, series, most=10**9):
        self.series, self.most = series, most

    def samples(self, selector, *, at, lookback):
        begin, end = (at - lookback).timestamp(), at.timestamp()
        found = []
        for each in self.series:
            times = [sampled_at for sampled_at, _ in each.samples]
            if samples := each.samples[bisect_right(times, begin) : bisect_right(times, end)]:
                found.append(Series(labels=each.labels, samples=samples))
        if sum(len(each.samples) for each in found) > self.most:
            return Broken(reason=BrokenReason.TOO_LARGE, detail="too many samples")
        return tuple(found)


def life(chance, begin, seconds, quiet):
    """One counter: scraped every 15 s or so, restarted now and then, silent for a while now and then."""
    at, value, samples = begin.timestamp() + chance.uniform(-400, 2), float(chance.randrange(50)), []
    end = at + seconds
    while at < end:
        samples.append((round(at, 3), value))
        value = 0.0 if chance.random() < 0.02 else value + chance.choice([0, 0, 1, 3, 17])
        at += chance.uniform(20, quiet) if chance.random() < 0.003 else chance.choice([15, 15, 14.999, 15.2])
    return tuple(samples)


def counters(chance, *, quiet, seconds=4000):
    found = []
    for instance in ("a", "b"):
        for variant in ("on", "off"):
            for metric, kind in ((REQUESTS_METRIC, ""), (BAD_METRIC, "error"), (VALUE_METRIC, "cost_usd")):
                for cohort in ("0", "1"):
                    labels = {
                        "__name__": metric,
                        "flag": FLAG,
                        "variant": variant,
                        "cohort": cohort,
                        "instance": instance,
                    }
                    lasts = seconds / 3 if chance.random() < 0.03 else seconds
                    found.append(
                        Series(
                            labels=labels | ({"kind": kind} if kind else {}), samples=life(chance, BEGIN, lasts, quiet)
                        )
                    )
    return found
