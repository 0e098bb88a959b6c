"""Simulate whole rollouts through the real decision code and hold them to their targets.

    PYTHONPATH=tests .venv/bin/python -m benchmarks.decisions [--full] [--rollouts N] [--processes N] [--seed N]

Prints two tables (Markdown) and ends with status 1 if a target is missed. The same seed gives the same numbers.
"""

import argparse
import math
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from multiprocessing import Pool
from statistics import median

from benchmarks.decisions.other_rules import RULES, SCHEDULE, Minute
from benchmarks.decisions.rollouts import Result, roll_out
from benchmarks.decisions.targets import TARGETS, Target
from benchmarks.decisions.worlds import Run, World

CHUNK = 25


def simulate(task: tuple[int, int, int, int]) -> tuple[int, list[Result], dict[str, list[Result]]]:
    """A few rollouts of one world: under Wavegate's rule, and some of them under the others'."""
    index, seed, count, others = task
    target = TARGETS[index]
    ours = [roll_out(target.world, seed + each, minutes=target.minutes_simulated) for each in range(count)]
    theirs: dict[str, list[Result]] = defaultdict(list)
    for each in range(others):
        minutes = fixed_schedule(target.world, seed + each)
        for name, rule in RULES.items():
            found = rule(minutes)
            # decisions act one minute later here too
            theirs[name].append(Result("rolled_back", found + 1) if found else Result("completed", len(minutes) + 3))
    return index, ours, theirs


def fixed_schedule(world: World, seed: int) -> list[Minute]:
    """What the others see: the same draw of the world, an hour at each share."""
    run = Run(world, random.Random(f"{world.name} {seed}"))
    minutes = []
    for number in range(SCHEDULE * len(world.shares)):
        wave = number // SCHEDULE
        each = run.minute(number, wave)
        minutes.append(
            Minute(
                wave,
                sum(each.candidate_requests),
                sum(each.candidate_amount),
                sum(each.stable_requests),
                sum(each.stable_amount),
            )
        )
    return minutes


def share(results: Iterable[Result], end: str) -> float:
    results = list(results)
    return sum(each.end == end for each in results) / len(results)


def standard_error(p: float, n: int) -> float:
    """Of a share; where nothing or everything was seen, as if half a rollout had been otherwise."""
    p = min(max(p, 0.5 / n), 1 - 0.5 / n)
    return math.sqrt(p * (1 - p) / n)


def judge(target: Target, results: list[Result]) -> tuple[list[str], list[str]]:
    """One line of the table, and the targets missed."""
    missed = []
    cells = [target.world.name, str(len(results))]
    for end, limit in (("rolled_back", target.rolled_back), ("completed", target.completed)):
        value = share(results, end)
        text = f"{value:.1%} ± {standard_error(value, len(results)):.1%}".replace("%", "")
        if limit is not None:
            text += f" (≤ {limit:.0%})".replace("%", "")
            if value > limit:
                missed.append(f"{target.world.name}: {end} {value:.1%}, allowed {limit:.0%}")
                text = f"**{text}**"
        cells.append(text)
    cells.append(f"{share(results, 'held'):.0%}".replace("%", ""))
    right = [each.minute for each in results if each.end == ("rolled_back" if target.harmful else "completed")]
    text = f"{median(right):.0f}" if right else "-"
    if target.minutes is not None:
        text += f" (≤ {target.minutes:.0f})"
        if not right or median(right) > target.minutes:
            missed.append(f"{target.world.name}: median {text} minutes")
            text = f"**{text}**"
    cells.append(text)
    return cells, missed


def print_table(head: list[str], rows: list[list[str]]) -> None:
    print("| " + " | ".join(head) + " |")
    print("|---" * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def comparison(ours: dict[int, list[Result]], theirs: dict[int, dict[str, list[Result]]]) -> list[list[str]]:
    """Per rule: how often it errs in each group of worlds, at its traffic levels."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, target in enumerate(TARGETS):
        groups[target.group].append(index)
    rows = []
    for group, members in groups.items():
        harmful = TARGETS[members[0]].harmful
        end = "completed" if harmful else "rolled_back"
        row = [f"{group}: {'reach 100 %' if harmful else 'rolled back'}"]
        row += [" / ".join(f"{share(theirs[index][rule], end) * 100:.0f}" for index in members) for rule in RULES]
        row.append(" / ".join(f"{share(ours[index], end) * 100:.1f}" for index in members))
        rows.append(row)
        if harmful:
            row = [f"{group}: median minutes to roll back"]
            for rule in (*RULES, None):
                cells = []
                for index in members:
                    results = theirs[index][rule] if rule else ours[index]
                    right = [each.minute for each in results if each.end == "rolled_back"]
                    cells.append(f"{median(right):.0f}" if right else "-")
                row.append(" / ".join(cells))
            rows.append(row)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.decisions", description=__doc__)
    parser.add_argument("--full", action="store_true", help="2,000 rollouts of each world")
    parser.add_argument("--rollouts", type=int, default=400, help="of each world (default 400)")
    parser.add_argument("--others", type=int, default=100, help="of each world, for the other rules (default 100)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rollouts = 2000 if options.full else options.rollouts
    began = time.monotonic()
    tasks = [
        (
            index,
            options.seed * 1_000_000 + first,
            min(CHUNK, rollouts - first),
            min(CHUNK, max(0, options.others - first)),
        )
        for first in range(0, rollouts, CHUNK)
        for index in range(len(TARGETS))
    ]
    ours: dict[int, list[Result]] = defaultdict(list)
    theirs: dict[int, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    with Pool(options.processes) as pool:
        for index, mine, others in pool.imap_unordered(simulate, tasks):
            ours[index] += mine
            for name, results in others.items():
                theirs[index][name] += results
    judged = [judge(target, ours[index]) for index, target in enumerate(TARGETS)]
    head = ["world", "rollouts", "rolled back, %", "reached 100 %, %", "held, %", "median minutes to the right end"]
    print_table(head, [cells for cells, _ in judged])
    print_table(["errors, %", *RULES, "Wavegate"], comparison(ours, theirs))
    missed = [line for _, lines in judged for line in lines]
    print(f"{rollouts} rollouts of {len(TARGETS)} worlds in {time.monotonic() - began:.0f} s, seed {options.seed}.")
    print("\n".join(["All targets reached."] if not missed else ["Targets missed:", *missed]))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
