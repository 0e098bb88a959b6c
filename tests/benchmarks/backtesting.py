"""How long `wavegate backtest` takes over days of a real Prometheus, scraped and looked at every 15 s.

python tests/benchmarks/backtesting.py [days] [rounds]     for 2 days some two minutes, most of them to make the past

Three gates that compare, 16 cohorts, two variants, one instance: 128 series. Three thresholds over the same past. Each
round replays both, one after the other, with the command as it is installed.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.history import PrometheusWithAPast, series

STEP = timedelta(seconds=15)
FLAG = "busy"
KINDS = ("error", "slow", "fallback")
WAVES = [{"percent": percent, "bake": "30m"} for percent in (10, 25, 50, 100)]
RATIO = (
    'sum(rate(wavegate_bad_total{flag="{{flag}}",variant="{{candidate}}",kind="%s"}[{{window}}])) / '
    'sum(rate(wavegate_requests_total{flag="{{flag}}",variant="{{candidate}}"}[{{window}}]) > 0)'
)
GATES = {
    "gates that compare": [{"type": "error_rate", "name": kind, "kinds": [kind], "final_margin": 1} for kind in KINDS],
    "thresholds": [
        {"type": "threshold", "name": kind, "query": RATIO % kind, "operator": "<", "limit": 0.5} for kind in KINDS
    ],
}


def past(begin: datetime, looks: int) -> dict:
    """Some 20 requests a second in all, of which 1 % go badly, of each kind."""
    chance = random.Random("busy")
    samples = {}
    times = [(begin + number * STEP).timestamp() + 1 for number in range(looks)]
    for variant in ("on", "off"):
        for cohort in map(str, range(16)):
            labels = {"flag": FLAG, "variant": variant, "cohort": cohort}
            samples[series("wavegate_requests_total", **labels)] = counter(chance, times, 9)
            for kind in KINDS:
                samples[series("wavegate_bad_total", kind=kind, **labels)] = counter(chance, times, 0.09)
    return samples


def counter(chance: random.Random, times: list[float], mean: float) -> list[tuple[float, int]]:
    total, rows = 0, []
    for at in times:
        rows.append((at, total))
        total += int(mean) + (chance.random() < mean % 1)
    return rows


def replay(url: str, plan: Path, begin: datetime, end: datetime) -> tuple[float, dict]:
    command = ["wavegate", "backtest", "-f", str(plan), "--prometheus", url, "--repeat", "--json"]
    command[0] = str(Path(sys.executable).with_name("wavegate"))
    since = time.perf_counter()
    done = subprocess.run(
        [*command, "--from", begin.isoformat(), "--to", end.isoformat()], check=True, capture_output=True
    )
    return time.perf_counter() - since, json.loads(done.stdout)["plans"][0]


def main() -> None:
    days = float(sys.argv[1]) if len(sys.argv) > 1 else 2
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    looks = int(timedelta(days=days) / STEP)
    begin = end - looks * STEP
    with tempfile.TemporaryDirectory() as home, PrometheusWithAPast() as server:
        server.remember(past(begin, looks))
        plans = {}
        for name, gates in GATES.items():
            plans[name] = Path(home) / f"{name.replace(' ', '-')}.json"
            plan = {"interval": "15s", "waves": WAVES, "gates": gates}
            plans[name].write_text(json.dumps({"flag": FLAG, "plan": plan}))
        for number in range(rounds):
            for name, plan in plans.items():
                took, found = replay(server.url, plan, begin, end)
                seen = sum(run["looks"] for run in found["rollouts"])
                print(
                    f"round {number + 1}, {name}: {seen:,} looks in {took:.1f} s, {took / seen * 1e3:.3f} ms each; "
                    f"{len(found['rollouts'])} rollouts, {found['rolled_back']} rolled back; "
                    f"30 days: {took / days * 30:.0f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
