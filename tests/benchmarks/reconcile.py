"""What 1,000 running rollouts cost: the reconciler over a real Prometheus that scrapes all of their counters.

Run it with `python tests/benchmarks/reconcile.py`; it takes about three minutes. Everything is real but the app: one
process that shows the counters of 1,000 flags as the SDK does (two variants, 16 cohorts, three kinds of bad outcomes;
128,000 series) and raises them at each scrape. Each rollout has three gates on them.

Ticks are timed one by one at the plan's interval. CPU is that of the whole process, so Prometheus' own scraping of
128,000 series is in it; it is measured beforehand, too, without anybody asking.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.database import database
from support.rollouts import a_flag, a_rollout
from support.world import World
from wavegate.evaluation import COHORTS
from wavegate_controller.clock import SystemClock
from wavegate_controller.demo.processes import free_port
from wavegate_controller.demo.prometheus import LocalPrometheus
from wavegate_controller.domain.measurement import Broken
from wavegate_controller.domain.plan import ErrorRateGate, Plan
from wavegate_controller.providers import PrometheusProvider
from wavegate_controller.service import counting
from wavegate_controller.service.asking import Asking
from wavegate_controller.service.counting import Group, Wanted
from wavegate_controller.service.measure import needs
from wavegate_controller.service.reconcile import tick
from wavegate_controller.store import SqlStore

INTERVAL = timedelta(seconds=15)
KINDS = ("error", "slow", "fallback")
VARIANTS = ("on", "off")
PLAN = Plan(gates=tuple(ErrorRateGate(name=kind, kinds=(kind,)) for kind in KINDS), interval=INTERVAL)


def flag_key(number: int) -> str:
    return f"feature-{number:04}"


@dataclass
class Counted:
    """A provider that counts what goes through it."""

    provider: PrometheusProvider
    questions: int = 0
    series: int = 0
    broken: list = field(default_factory=list)
    notice = None

    def query(self, promql, *, at):
        self.questions += 1
        return self.provider.query(promql, at=at)

    def samples(self, selector, *, at, lookback):
        self.questions += 1
        answer = self.provider.samples(selector, at=at, lookback=lookback)
        if isinstance(answer, Broken):
            self.broken.append(answer)
        else:
            self.series += len(answer)
        return answer


def expose(port: int, flags: int, instances: int) -> None:
    """The apps: at each scrape every flag has had some traffic."""
    labels = [
        (
            metric,
            f'flag="{flag_key(number)}",variant="{variant}",cohort="{cohort}"{kind}',
            metric.endswith("requests_total"),
        )
        for number in range(flags)
        for variant in VARIANTS
        for cohort in range(COHORTS)
        for metric, kind in (
            ("wavegate_requests_total", ""),
            *(("wavegate_bad_total", f',kind="{kind}"') for kind in KINDS),
        )
    ]
    chance = random.Random(1)
    values = {f"/{instance}": [0] * len(labels) for instance in range(instances)}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            mine = values[self.path]
            lines = []
            for place, (metric, text, all_requests) in enumerate(labels):
                if all_requests:
                    mine[place] += chance.randrange(8)
                elif chance.random() < 0.02:
                    mine[place] += 1
                lines.append(f"{metric}{{{text}}} {mine[place]}\n")
            body = "".join(lines).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    HTTPServer(("127.0.0.1", port), Handler).serve_forever()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fill(store: SqlStore, flags: int) -> None:
    now = SystemClock().now()
    with store.transaction() as work:
        for number in range(flags):
            key = flag_key(number)
            work.flags.add(a_flag(key))
            work.rollouts.add(
                a_rollout(
                    id=f"{key}:1", flag_key=key, plan=PLAN, next_look_at=now,
                    created_at=now, updated_at=now, started_at=now, wave_since=now, evidence_since=now,
                )
            )  # fmt: skip


def only_read(provider: Counted, store: SqlStore, flags: int, executor: ThreadPoolExecutor, *, alone: bool) -> None:
    """The questions of a tick by the same code, of the same samples, and nothing else."""
    now = SystemClock().now()
    with store.transaction() as work:
        cursors = work.evidence.cursors([f"{flag_key(number)}:1" for number in range(flags)])
        wanted = [
            Wanted(rollout=rollout, needs=needs(rollout), cursor=cursor)
            for rollout, cursor in ((work.rollouts.get(each), cursor) for each, cursor in cursors.items())
        ]
    asking = Asking(provider, executor, at=now)
    groups = (
        [Group(members=(each,), lookback=3 * INTERVAL) for each in wanted] if alone else counting.group(wanted, now=now)
    )
    list(executor.map(lambda group: counting.read(asking, group), groups))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--flags", type=int, default=1000)
    options.add_argument("--instances", type=int, default=1, help="processes of the app, each with all series")
    options.add_argument("--ticks", type=int, default=5)
    options.add_argument("--expose", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.expose:
        expose(given.expose, given.flags, given.instances)
        return
    port = free_port()
    app = subprocess.Popen(
        [
            sys.executable,
            __file__,
            "--expose",
            str(port),
            "--flags",
            str(given.flags),
            "--instances",
            str(given.instances),
        ]
    )
    targets = [f"http://127.0.0.1:{port}/{instance}" for instance in range(given.instances)]
    try:
        with (
            tempfile.TemporaryDirectory() as directory,
            database(Path(directory)) as engine,
            LocalPrometheus({"apps": targets}, scrape_interval=INTERVAL) as prometheus,
            ThreadPoolExecutor(8) as executor,
        ):
            measure(SqlStore(engine), prometheus, given, executor)
    finally:
        app.terminate()
        app.wait()


def measure(
    store: SqlStore, prometheus: LocalPrometheus, given: argparse.Namespace, executor: ThreadPoolExecutor
) -> None:
    prometheus.wait_for_up(given.instances, timeout=90)
    server = prometheus._process.pid
    provider = Counted(PrometheusProvider(prometheus.url, timeout=30))
    services = replace(World.over(store).services, clock=SystemClock(), provider=provider)
    fill(store, given.flags)

    idle, begun = cpu_seconds(server), time.monotonic()
    time.sleep(2 * INTERVAL.total_seconds())
    idle = (cpu_seconds(server) - idle) / (time.monotonic() - begun) * INTERVAL.total_seconds()
    print(f"{given.flags} rollouts, {len(PLAN.gates)} gates each, {given.instances} instance(s)")
    print(f"Prometheus' own scraping: {idle:.2f} s CPU every {INTERVAL.total_seconds():g} s\n")
    print(
        f"{'tick':>10} {'time s':>8} {'questions':>9} {'series':>8} {'controller CPU s':>17} {'Prometheus CPU s':>17}"
    )

    def timed(name: str, act) -> tuple[float, float, float]:
        provider.questions = provider.series = 0
        ours, theirs, begun = time.process_time(), cpu_seconds(server), time.monotonic()
        act()
        took = time.monotonic() - begun
        cost = time.process_time() - ours, cpu_seconds(server) - theirs
        print(f"{name:>10} {took:8.2f} {provider.questions:9} {provider.series:8} {cost[0]:17.2f} {cost[1]:17.2f}")
        assert provider.broken == [], provider.broken
        return took, *cost

    ticks = []
    for number in range(given.ticks + 1):
        begun = time.monotonic()
        row = timed("first" if number == 0 else str(number), lambda: tick(services, executor))
        if number:
            ticks.append(row)
        time.sleep(max(0.0, INTERVAL.total_seconds() + 0.2 - (time.monotonic() - begun)))
    grouped = timed("read *", lambda: only_read(provider, store, given.flags, executor, alone=False))
    naive = timed("naively **", lambda: only_read(provider, store, given.flags, executor, alone=True))
    usual = median(row[0] for row in ticks)
    ours, theirs = (median(row[place] for row in ticks) / INTERVAL.total_seconds() for place in (1, 2))
    print(f"\nmedian tick {usual:.1f} s; one each {INTERVAL.total_seconds():g} s takes this of one core:")
    print(f"  controller {ours:.0%}, Prometheus {theirs:.0%}, its own scraping included")
    print("*  a tick's questions alone, read and counted")
    print("** the same with one question for each rollout: ", end="")
    print(
        ", ".join(
            f"{b / a:.1f} x {what}" for a, b, what in zip(grouped, naive, ("time", "ours", "Prometheus"), strict=True)
        )
    )


if __name__ == "__main__":
    main()
