"""What one evaluation costs, next to the floor: hand-written closures behind a client object, that count nothing.

`python tests/benchmarks/evaluate.py [rounds]` prints a table. Rounds are interleaved, so that what else the
machine does falls on all alike; read the ratios.
"""

import gc
import json
import statistics
import sys
from collections.abc import Callable
from time import perf_counter_ns, process_time_ns

import mmh3
from prometheus_client import CollectorRegistry

from wavegate import Client
from wavegate.evaluation import compile_ruleset, ruleset_from_json

FLAGS = 200
KEYS = [f"user-{number}" for number in range(100_000)]
WEIGHT = 25_000
RULES = [
    {"if": {"attribute": "country", "operator": "in", "value": ["NO", "SE", "DK"]}, "serve": "on"},
    {"if": {"attribute": "plan", "operator": "equals", "value": "enterprise"}, "serve": "on"},
    {"if": {"attribute": "email", "operator": "ends_with", "value": "@acme.example"}, "serve": "on"},
]
#: Nobody meets a rule: all three are looked at, and then the percentage.
CONTEXT = {"country": "DE", "plan": "team", "email": "somebody@example.org"}


def ruleset(**extra: object) -> dict[str, object]:
    flag = {
        "variants": {"on": True, "off": False},
        "default_variant": "off",
        "rollout": {"stable": "off", "candidate": "on", "weight": WEIGHT},
    }
    flags = {f"flag-{number}": flag | extra for number in range(FLAGS)}
    return {"schema": 1, "environment": "production", "revision": 1, "flags": flags}


class Floor:
    """As little as a client can be."""

    def __init__(self, *, rules: bool) -> None:
        make = self._with_rules if rules else self._plain
        self._flags = {f"flag-{number}": make(f"flag-{number}") for number in range(FLAGS)}

    def is_enabled(self, flag_key: str, targeting_key: str, /, **attributes: object) -> bool:
        return self._flags[flag_key](targeting_key, attributes)

    @staticmethod
    def _plain(flag_key: str) -> Callable:
        encoded, digest = flag_key.encode(), mmh3.mmh3_32_uintdigest
        prefix = bytes((0x82, 0x60 + len(encoded))) + encoded
        heads = tuple(bytes((0x60 + length,)) for length in range(24))
        limit = WEIGHT * 2**32 // 100_000

        def decide(targeting_key: str, _attributes: dict) -> bool:
            text = targeting_key.encode()
            return digest(prefix + heads[len(text)] + text) < limit

        return decide

    @classmethod
    def _with_rules(cls, flag_key: str) -> Callable:
        percentage = cls._plain(flag_key)
        countries = frozenset(RULES[0]["if"]["value"])

        def decide(targeting_key: str, attributes: dict) -> bool:
            if attributes.get("country") in countries:
                return True
            if attributes.get("plan") == "enterprise":
                return True
            if attributes.get("email", "").endswith("@acme.example"):
                return True
            return percentage(targeting_key, attributes)

        return decide


def candidates() -> dict[str, Callable[[str, str], object]]:
    """What is measured: one evaluation, of a flag key and a targeting key."""
    plain = Client.offline(ruleset(), registry=CollectorRegistry()).is_enabled
    ruled = Client.offline(ruleset(rules=RULES), registry=CollectorRegistry()).is_enabled
    compiled = compile_ruleset(ruleset_from_json(ruleset()))["flag-7"].choose
    compiled_ruled = compile_ruleset(ruleset_from_json(ruleset(rules=RULES)))["flag-7"].choose
    floor, floor_ruled = Floor(rules=False).is_enabled, Floor(rules=True).is_enabled
    closure = Floor._plain("flag-7")
    nothing: dict[str, object] = {}
    return {
        "floor": floor,
        "wavegate, counted": plain,
        "floor, 3 rules": lambda flag, key: floor_ruled(flag, key, country="DE", plan="team", email=CONTEXT["email"]),
        "wavegate, 3 rules, counted": lambda flag, key: ruled(
            flag, key, country="DE", plan="team", email=CONTEXT["email"]
        ),
        "closure of the floor": lambda _flag, key: closure(key, nothing),
        "closure": lambda _flag, key: compiled(key, nothing),
        "closure, 3 rules": lambda _flag, key: compiled_ruled(key, CONTEXT),
        "nothing": lambda _flag, _key: None,
    }


def measure(rounds: int) -> dict[str, float]:
    """Nanoseconds per evaluation, the median of the rounds."""
    times: dict[str, list[float]] = {}
    asked = candidates()
    for number in range(rounds):
        keys = KEYS[number * 997 % 90_000 :][:5_000]
        for name, ask in asked.items():
            flag = f"flag-{number % FLAGS}"
            gc.collect()
            started = process_time_ns()
            for key in keys:
                ask(flag, key)
            times.setdefault(name, []).append((process_time_ns() - started) / len(keys))
    return {name: statistics.median(values) for name, values in times.items()}


def loading(flags: int = 5_000) -> dict[str, float]:
    """Milliseconds to read and compile a large ruleset, the median of ten."""
    document = ruleset()
    document["flags"] = {f"flag-{number}": document["flags"]["flag-0"] for number in range(flags)}
    text = json.dumps(document).encode()
    times: dict[str, list[float]] = {"json.loads": [], "read": [], "compile": []}
    for _ in range(10):
        points = [perf_counter_ns()]
        json.loads(text)
        points.append(perf_counter_ns())
        read = ruleset_from_json(text)
        points.append(perf_counter_ns())
        compile_ruleset(read)
        points.append(perf_counter_ns())
        for name, start, end in zip(times, points, points[1:], strict=False):
            times[name].append((end - start) / 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    times = measure(rounds)
    call = times.pop("nothing")
    print(f"ns per evaluation, median of {rounds} interleaved rounds\n")
    for name, value in times.items():
        floor = times["floor, 3 rules" if "3 rules" in name else "floor"]
        if "closure" in name:
            print(f"{name:28} {value - call:7.0f}")
        else:
            loop = call if "3 rules" in name else 0
            print(f"{name:28} {value - loop:7.0f}   {(value - loop) / (floor - loop):5.2f} x floor")
    print("\n5,000 flags, ms")
    for name, value in loading().items():
        print(f"{name:28} {value:7.1f}")


if __name__ == "__main__":
    main()
