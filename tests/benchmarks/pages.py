"""How quick the dashboard's pages are, with few flags and with many: the server's part, the bytes, and the browser's.

Run it with `python tests/benchmarks/pages.py`; it takes a minute or two. A real `wavegate serve` on loopback over
SQLite, in which every second flag has a rollout that is watched, with a verdict for each gate, and real Chromium.
`server` is a request of the page alone on a connection that is there, `cpu` what it takes of the processor,
which a busy machine does not change; `interactive` and `painted` are Chromium's domInteractive and first contentful
paint since the navigation began, with nothing in its cache; `sent` is all that the page needs, as it travels. All are
medians, but `cpu`, which is a mean.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import requests
from playwright.sync_api import Browser

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.browsers import chromium
from support.database import database
from support.live_controller import live_controller
from support.rollouts import a_flag
from support.world import ManualClock, World
from wavegate_controller.clock import SystemClock
from wavegate_controller.domain.record import DecisionRecord
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.service.publish import next_revision, publish_latest
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.store import SqlStore

FIRST = "feature-0000"
PATHS = (
    "/",
    "/?q=feature-00",
    f"/flags/{FIRST}",
    f"/flags/{FIRST}/edit",
    f"/flags/{FIRST}/targeting",
    f"/flags/{FIRST}/decisions",
    "/flags/feature-0001/rollouts/new",
    "/portfolio",
    "/playground",
    f"/playground?key=ann&flag={FIRST}",
    "/clients",
    "/audit",
    "/settings",
    "/search?q=feature",
)
LOOKS = 60
#: What is to be reached: a page is interactive within so many milliseconds of loopback.
TARGET = 300


@dataclass(frozen=True)
class Measured:
    """One page; times in milliseconds."""

    path: str
    server: float
    cpu: float
    interactive: float
    painted: float
    sent: int


def fill(store: SqlStore, flags: int) -> None:
    """Every second flag is being rolled out; the first one has a past, and the others its newest verdicts."""
    world = World.over(store)
    began = SystemClock().now() - timedelta(seconds=15 * LOOKS)
    world = replace(world, clock=ManualClock(began), services=replace(world.services, clock=ManualClock(began)))
    world.services.provider.clock = world.services.clock  # the counters' time is the rollout's
    publish_latest(world.services)
    far = SystemClock().now() + timedelta(days=1)
    for number in range(flags):
        key = f"feature-{number:04}"
        with store.transaction() as work:
            work.flags.add(a_flag(key, description=f"What feature {number} is for", created_at=began, updated_at=began))
    record, first = history(world)
    with store.transaction() as work:
        for number in range(2, flags, 2):
            key = f"feature-{number:04}"
            work.rollouts.add(replace(first, id=f"{key}:1", flag_key=key, next_look_at=far))
            for each in record:
                work.decisions.add(replace(each, id=0, rollout_id=f"{key}:1"))
        work.rollouts.save(replace(work.rollouts.get(f"{FIRST}:1"), next_look_at=far, version=first.version + 1))
        next_revision(work, "production", now=far)


def history(world: World) -> tuple[list[DecisionRecord], Rollout]:
    """The first flag's rollout, looked at for a while: its newest decision and the one that started it."""
    for variant in ("on", "off"):
        world.metrics.count(variant, 0)
    world.started(FIRST, waves=[{"percent": share, "bake": "1d"} for share in (10, 25, 50, 100)])
    for look in range(LOOKS):
        world.services.clock.advance(seconds=15)
        world.metrics.count("on", 20, bad=look % 2)
        world.metrics.count("off", 180, bad=2)
        reconcile(world.services, f"{FIRST}:1")
    with world.services.store.transaction() as work:
        decisions = work.decisions.list(f"{FIRST}:1", limit=LOOKS + 1)
        return [decisions[-1], decisions[0]], work.rollouts.get(f"{FIRST}:1")


def measure(browser: Browser, url: str, rounds: int) -> Iterator[Measured]:
    session = requests.Session()
    session.headers["Accept-Encoding"] = "gzip"
    for path in PATHS:
        session.get(url + path)
        served, used = [], cpu_seconds()
        for _ in range(rounds):
            begun = time.perf_counter()
            answer = session.get(url + path)
            served.append(1000 * (time.perf_counter() - begun))
            assert answer.status_code == 200, (path, answer.status_code)
        used = cpu_seconds() - used
        interactive, painted, sent = zip(*(load(browser, url + path) for _ in range(max(3, rounds // 3))), strict=True)
        yield Measured(
            path=path,
            server=statistics.median(served),
            cpu=1000 * used / rounds,
            interactive=statistics.median(interactive),
            painted=statistics.median(painted),
            sent=max(sent),
        )


def cpu_seconds() -> float:
    """Of the controller, which is a child of this process."""
    used = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = file.read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid() and b"serve" in (file.parent / "cmdline").read_bytes():
                used += int(fields[11]) + int(fields[12])
    return used / os.sysconf("SC_CLK_TCK")


def load(browser: Browser, address: str) -> tuple[float, float, int]:
    """In a window that has nothing in its cache."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(address, wait_until="load")
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
    found = page.evaluate(
        "() => { const [navigation] = performance.getEntriesByType('navigation');"
        " const all = [navigation, ...performance.getEntriesByType('resource')];"
        " return [navigation.domInteractive, performance.getEntriesByName('first-contentful-paint')[0].startTime,"
        " all.reduce((sum, each) => sum + each.transferSize, 0)]; }"
    )
    context.close()
    return tuple(found)


def main() -> int:
    """The exit code: whether a page is over the target."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--flags", type=int, nargs="*", default=[10, 1000])
    options.add_argument("--rounds", type=int, default=15)
    given = options.parse_args()
    over = []
    with chromium() as browser:
        for flags in given.flags:
            with tempfile.TemporaryDirectory() as directory:
                with database(Path(directory)) as engine:
                    fill(SqlStore(engine), flags)
                with live_controller(Path(directory)) as url:
                    print(f"\n{f'{flags:,} flags, ms':<36}   server      cpu  interactive  painted  sent kB")
                    for page in measure(browser, url, given.rounds):
                        times = f"{page.server:>9.0f}{page.cpu:>9.1f}{page.interactive:>13.0f}{page.painted:>9.0f}"
                        print(f"{page.path:<36}{times}{page.sent / 1000:>9.1f}", flush=True)
                        over += [page] if page.interactive > TARGET else []
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
