"""A past made up for a real Prometheus: series written as OpenMetrics, turned into blocks by promtool."""

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from wavegate_controller.demo.prometheus import LocalPrometheus, find_prometheus

#: Labels, with the metric's name under `__name__`, to (Unix seconds, value).
Samples = Mapping[tuple[tuple[str, str], ...], Iterable[tuple[float, float]]]


def series(name: str, **labels: str) -> tuple[tuple[str, str], ...]:
    return (("__name__", name), *sorted(labels.items()))


class PrometheusWithAPast(LocalPrometheus):
    """Nobody is scraped: all that there is was written beforehand."""

    def __init__(self, rules: str = "", *, most_samples: int | None = None) -> None:
        super().__init__({})
        self._rules = rules
        self._most_samples = most_samples

    def _flags(self) -> tuple[str, ...]:
        return () if self._most_samples is None else (f"--query.max-samples={self._most_samples}",)

    def remember(self, samples: Samples) -> None:
        """Puts the samples where the server finds them when it is started again."""
        self.stop()
        text = self._home / "past.txt"
        text.write_text(openmetrics(samples))
        promtool = find_prometheus().with_name("promtool")
        subprocess.run(
            [promtool, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=168h", text, "data"],
            cwd=self._home,
            check=True,
            capture_output=True,
        )
        text.unlink()
        self.start()

    def _configuration(self) -> dict[str, object]:
        if not self._rules:
            return super()._configuration()
        Path(self._home / "rules.yml").write_text(self._rules)
        return super()._configuration() | {"rule_files": ["rules.yml"]}


def openmetrics(samples: Samples) -> str:
    """Families together, each series in the order of time."""
    by_family: dict[str, list[str]] = {}
    for labels, values in samples.items():
        named = dict(labels)
        name = named.pop("__name__")
        shown = ",".join(f'{label}="{value}"' for label, value in named.items())
        lines = by_family.setdefault(name, [])
        lines.extend(f"{name}{{{shown}}} {value} {at:.3f}" for at, value in values)
    parts = []
    for name, lines in sorted(by_family.items()):
        kind = "counter" if name.endswith("_total") else "gauge"
        parts.append(f"# TYPE {name.removesuffix('_total')} {kind}")
        parts.extend(lines)
    return "\n".join([*parts, "# EOF", ""])
