"""Compares Wavegate's SDK with what Python allows and with its peers, side by side on this machine.

python tests/benchmarks/sdk_peers            about ten minutes, on a machine that does nothing else
python tests/benchmarks/sdk_peers --quick    a minute or two; believe its ratios, not its digits
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import contest
from contest import Effort, Series
from contestants import BARE_OPENFEATURE, LEFT_OUT, SDK, Entry, entries
from environments import Environment, Installer, NotInstallable
from report import BY_NAME, FLOOR, FLOOR_BY_NAME, OURS, Results, render

ROOT: Final = Path(__file__).parents[3]
QUICK: Final = Effort(rounds=15, starts=3, thread_rounds=3, checked_users=20_000, seconds=0.005)
FULL: Final = Effort(rounds=100, starts=15, thread_rounds=15, checked_users=100_000, seconds=0.01)
#: Whose answers must be ours bit by bit.
SAME_BUCKETS: Final = (FLOOR, FLOOR_BY_NAME, "floor joining less", BY_NAME, "flagd")


def main() -> None:
    options = arguments()
    results = measure(options)
    print(render(results))
    if options.json:
        options.json.write_text(json.dumps(results.as_json(), indent=1) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value that was measured")
    parser.add_argument("--only", metavar="NAME,NAME", help="these contestants beside Wavegate and the floor")
    parser.add_argument("--sdk", type=Path, default=SDK, help="the Wavegate SDK to measure, by default this checkout's")
    parser.add_argument("--uv", type=Path, default=ROOT / ".tools/uv/bin/uv", help="by default the one `make` installs")
    parser.add_argument(
        "--environments",
        type=Path,
        default=ROOT / ".tools/sdk-peers",
        help="where the contestants are installed; kept for the next run, may be deleted at any time",
    )
    return parser.parse_args()


def measure(options: argparse.Namespace) -> Results:
    effort = QUICK if options.quick else FULL
    chosen = entries(options.sdk.resolve())
    if options.only:
        wanted = {OURS, FLOOR, *(name.strip() for name in options.only.split(","))}
        if unknown := wanted - {entry.name for entry in chosen}:
            sys.exit(f"unknown: {', '.join(unknown)}; there are {', '.join(entry.name for entry in chosen)}")
        chosen = [entry for entry in chosen if entry.name in wanted]
    results = Results(machine=machine(), entries=chosen, absent=dict(LEFT_OUT))
    installer = Installer(uv=options.uv.resolve(), folder=options.environments.resolve())
    native, through = install(installer, chosen, results)
    # Ways to use one SDK that have nothing to do with these are measured once.
    distinct = {entry: environment for entry, environment in native.items() if not entry.options}

    series: dict[str, Callable[[], Series]] = {
        "plain": lambda: contest.evaluations(native, effort),
        "rules": lambda: contest.evaluations(native, effort, rules=True),
        "openfeature": lambda: contest.evaluations(through, effort, openfeature=True, yardstick=BARE_OPENFEATURE),
        "threads": lambda: contest.threads(distinct, effort),
    }
    pairs: dict[str, Callable[[], tuple[Series, Series]]] = {
        "import": lambda: contest.imports(distinct, effort),
        "first": lambda: contest.first_answers(distinct, effort),
        "many": lambda: contest.many_flags(distinct, effort),
    }
    for name, run in series.items():
        say(f"measuring: {name}")
        results.series[name] = run()
        compare_answers(name, results.series[name])
    for name, run_pair in pairs.items():
        say(f"measuring: {name}")
        results.series[f"{name}_ms"], results.series[f"{name}_mb"] = run_pair()
    results.machine["load afterwards"] = load()
    return results


def install(
    installer: Installer, chosen: list[Entry], results: Results
) -> tuple[dict[Entry, Environment], dict[Entry, Environment]]:
    """Environments for the SDKs as they are, and for those that have a provider with the OpenFeature client as well."""
    native: dict[Entry, Environment] = {}
    through: dict[Entry, Environment] = {}
    made: dict[str, Environment] = {}
    for entry in [*chosen, BARE_OPENFEATURE]:
        say(f"installing: {entry.name}")
        try:
            if entry is not BARE_OPENFEATURE:
                made[entry.module] = made.get(entry.module) or installer.make(entry.module, entry.requires)
                environment = native[entry] = made[entry.module]
                own = "wavegate" if entry.name in (OURS, BY_NAME) else entry.requires[0]
                results.closures[entry.name] = (
                    environment.versions[own.lower()],
                    environment.megabytes,
                    len(environment.versions),
                )
            if entry.provider is not None:
                through[entry] = installer.make(f"{entry.module}-openfeature", entry.requires + entry.provider)
        except NotInstallable as problem:
            results.absent[entry.name] = str(problem)
    return native, through


def compare_answers(name: str, series: Series) -> None:
    """Who buckets as we do must have put the same people in."""
    for other in SAME_BUCKETS:
        if OURS in series.digests and other in series.digests and series.digests[other] != series.digests[OURS]:
            sys.exit(f"{name}: {OURS} and {other} put different users in")


def machine() -> dict[str, object]:
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Python": platform.python_version(),
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "load before": load(),
    }


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def load() -> str:
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
