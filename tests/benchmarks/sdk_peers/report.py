"""The tables: what was measured, and what of the targets is met."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import sub, truediv
from typing import Any, Final

from contest import Series
from contestants import BARE_OPENFEATURE, Entry

OURS: Final = "Wavegate"
FLOOR: Final = "floor"
#: The same two with attributes as keyword arguments, which are compared with one another.
BY_NAME: Final = "Wavegate by name"
FLOOR_BY_NAME: Final = "floor by name"


@dataclass(kw_only=True, slots=True)
class Results:
    """Everything that was found out."""

    machine: dict[str, Any]
    entries: list[Entry]
    #: Contestant to version of its SDK, megabytes and number of distributions.
    closures: dict[str, tuple[str, float, int]] = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)
    #: Contestant to why it takes no part.
    absent: dict[str, str] = field(default_factory=dict)

    def median(self, measure: str, name: str) -> float | None:
        values = self.series[measure].values.get(name) if measure in self.series else None
        return statistics.median(values) if values else None

    def ratio(self, measure: str, name: str, to: str) -> float | None:
        """The median over the rounds of how many times as much one is as the other."""
        return self._compare(measure, name, to, truediv)

    def difference(self, measure: str, name: str, to: str) -> float | None:
        """The median over the rounds of how much more one is than the other."""
        return self._compare(measure, name, to, sub)

    def _compare(self, measure: str, name: str, to: str, compare: Callable[[float, float], float]) -> float | None:
        values = self.series[measure].values if measure in self.series else {}
        if name not in values or to not in values:
            return None
        return statistics.median(map(compare, values[name], values[to]))

    def spread(self, measure: str, name: str) -> float:
        """Half of what the middle half of the rounds spans, as a share of the median."""
        values = self.series[measure].values[name]
        if len(values) < 2:
            return 0.0
        low, middle, high = statistics.quantiles(values, n=4)
        return (high - low) / 2 / middle

    def fastest_peer(self, measure: str) -> str | None:
        peers = [entry.name for entry in self.entries if entry.peer and self.median(measure, entry.name) is not None]
        return min(peers, key=lambda name: self.median(measure, name) or 0) if peers else None

    def as_json(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "closures": {
                name: {"version": version, "megabytes": megabytes, "distributions": count}
                for name, (version, megabytes, count) in self.closures.items()
            },
            "measures": {
                name: {"values": series.values, "problems": series.problems} for name, series in self.series.items()
            },
            "absent": self.absent,
            "targets": [
                {"what": target.what, "found": target.found, "limit": target.limit, "met": target.met}
                for target in targets(self)
            ],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    what: str
    found: float | None
    limit: float
    at_least: bool = False
    unit: str = ""

    @property
    def met(self) -> bool | None:
        """None if it could not be measured."""
        if self.found is None:
            return None
        return self.found >= self.limit if self.at_least else self.found <= self.limit


def targets(results: Results) -> Iterator[Target]:
    for measure, what, floor, lead in (
        ("plain", "25 % rollout", 1.15, 1.6),
        ("rules", "three rules, then 25 %", 1.2, 1.9),
    ):
        peer = results.fastest_peer(measure)
        yield Target(what=f"{what}: times the floor", found=results.ratio(measure, OURS, FLOOR), limit=floor)
        yield Target(
            what=f"{what}: times faster than the fastest peer ({peer})",
            found=results.ratio(measure, peer, OURS) if peer else None,
            limit=lead,
            at_least=True,
        )
    yield Target(
        what="three rules by name, then 25 %: times the floor by name",
        found=results.ratio("rules", BY_NAME, FLOOR_BY_NAME),
        limit=1.2,
    )
    yield Target(
        what="through the OpenFeature client, on top of it",
        found=results.difference("openfeature", OURS, BARE_OPENFEATURE.name),
        limit=600,
        unit="ns",
    )
    _, megabytes, count = results.closures.get(OURS, ("", None, None))
    yield Target(what="import", found=results.median("import_ms", OURS), limit=10, unit="ms")
    yield Target(what="dependency closure", found=megabytes, limit=3, unit="MB")
    yield Target(what="distributions", found=count, limit=8)
    yield Target(what="5,000 flags: load", found=results.median("many_ms", OURS), limit=20, unit="ms")
    yield Target(what="5,000 flags: memory", found=results.median("many_mb", OURS), limit=9, unit="MB")
    yield Target(what="4 threads against 1", found=results.median("threads", OURS), limit=0.95, at_least=True)


def render(results: Results) -> str:
    """Markdown, for a terminal and for the documentation."""
    parts = [
        "\n".join(f"- {name}: {value}" for name, value in results.machine.items()),
        table(HEADER, [row(results, entry) for entry in [*results.entries, BARE_OPENFEATURE]]),
        table(
            ("target", "wanted", "found", ""),
            [
                (target.what, wanted(target), number(target.found, target.unit), MARKS[target.met])
                for target in targets(results)
            ],
        ),
    ]
    if remarks := list(missing(results)):
        parts.append("Not measured:\n\n" + "\n".join(f"- {remark}" for remark in remarks))
    return "\n\n".join(parts)


MARKS: Final[Mapping[bool | None, str]] = {True: "met", False: "**missed**", None: "not measured"}
HEADER: Final = (
    "SDK",
    "version",
    "25 % rollout, ns",
    "3 rules, then 25 %, ns",
    "through OpenFeature, ns",
    "4 threads against 1",
    "import, ms / MB",
    "import to first answer, ms / MB",
    "5,000 flags, ms / MB",
    "closure, MB / distributions",
)


def row(results: Results, entry: Entry) -> tuple[str, ...]:
    name = entry.name
    version, megabytes, count = results.closures.get(name, ("", None, None))
    return (
        f"{name} ({entry.note})" if entry.note else name,
        version,
        timing(results, "plain", name),
        timing(results, "rules", name),
        timing(results, "openfeature", name),
        number(results.median("threads", name)),
        pair(results.median("import_ms", name), results.median("import_mb", name)),
        pair(results.median("first_ms", name), results.median("first_mb", name)),
        pair(results.median("many_ms", name), results.median("many_mb", name)),
        pair(megabytes, count),
    )


def timing(results: Results, measure: str, name: str) -> str:
    """The median, its spread, and how many times ours it is."""
    median = results.median(measure, name)
    if median is None:
        return "-"
    ratio = results.ratio(measure, name, OURS)
    times = f", {ratio:.2f} x" if ratio and name != OURS else ""
    return f"{median:,.0f} ± {results.spread(measure, name):.0%}{times}"


def pair(one: float | None, other: float | None) -> str:
    return "-" if one is None else f"{number(one)} / {number(other)}"


def number(value: float | None, unit: str = "") -> str:
    if value is None:
        return "-"
    digits = 0 if isinstance(value, int) or value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def wanted(target: Target) -> str:
    return f"{'≥' if target.at_least else '≤'} {number(target.limit, target.unit)}"


def missing(results: Results) -> Iterator[str]:
    for name, why in results.absent.items():
        yield f"{name}: {why}"
    for measure, series in results.series.items():
        for name, why in series.problems.items():
            yield f"{name}, {measure}: {why}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
