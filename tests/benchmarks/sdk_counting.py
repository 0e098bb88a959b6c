"""What counting a request costs, next to the same counts kept by hand in prometheus_client.

`python tests/benchmarks/sdk_counting.py [rounds]` prints a table. Rounds are interleaved; read the ratios.
"""

import statistics
import sys
from collections.abc import Callable
from time import perf_counter, process_time_ns

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from wavegate import Client

USERS = [f"user-{number}" for number in range(2_000)]
ROLLOUT = {"stable": "off", "candidate": "on", "weight": 25_000}
FLAG = {"variants": {"on": True, "off": False}, "default_variant": "off", "rollout": ROLLOUT}
RULESET = {"schema": 1, "environment": "production", "revision": 1, "flags": {"search": FLAG}}


def by_hand(client: Client) -> Callable[[str], None]:
    """A trial's requests, errors and durations as one would write them without it."""
    registry = CollectorRegistry()
    labels = ["flag", "variant"]
    requests = Counter("requests", "-", [*labels, "cohort"], registry=registry)
    bad = Counter("bad", "-", [*labels, "cohort", "kind"], registry=registry)
    duration = Histogram("duration_seconds", "-", labels, registry=registry)

    def request(user: str) -> None:
        details = client.details("search", user, default=False)
        started = perf_counter()
        try:
            pass
        except Exception:
            bad.labels("search", details.variant, details.cohort, "error").inc()
            raise
        finally:
            requests.labels("search", details.variant, details.cohort).inc()
            duration.labels("search", details.variant).observe(perf_counter() - started)

    return request


def candidates(client: Client) -> dict[str, Callable[[str], object]]:
    def trial(user: str) -> None:
        with client.trial("search", user):
            pass

    def with_values(user: str) -> None:
        with client.trial("search", user) as begun:
            begun.cost_usd(0.002)
            begun.tokens(input=812, output=96)

    return {
        "details, and counters by hand": by_hand(client),
        "trial": trial,
        "trial with cost and tokens": with_values,
        "feedback": lambda user: client.feedback("search", user, thumbs_up=True),
        "is_enabled": lambda user: client.is_enabled("search", user),
    }


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    registry = CollectorRegistry()
    client = Client.offline(RULESET, registry=registry)
    times: dict[str, list[float]] = {}
    asked = candidates(client)
    for _ in range(rounds):
        for name, request in asked.items():
            started = process_time_ns()
            for user in USERS:
                request(user)
            times.setdefault(name, []).append((process_time_ns() - started) / len(USERS))
    medians = {name: statistics.median(values) for name, values in times.items()}
    base = next(iter(medians.values()))
    print(f"ns per request, median of {rounds} interleaved rounds\n")
    for name, median in medians.items():
        print(f"{name:32} {median:7.0f}   {median / base:5.2f}")
    started = process_time_ns()
    lines = generate_latest(registry).count(b"\n")
    print(f"\nscrape of one rollout: {lines} lines, {(process_time_ns() - started) / 1e6:.1f} ms")


if __name__ == "__main__":
    main()
