"""The measurements.

Contestants stay in a process each and are asked in turn, so that a busy minute is busy for all of
them. Times are the processor's, for on a shared machine the clock on the wall tells of the others;
only for several threads against one it is the wall's.
"""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from contestants import Entry
from environments import Environment
from workload import SHARE, USERS

HERE: Final = Path(__file__).parent
FLAGS: Final = 200
MANY_FLAGS: Final = 5000
THREADS: Final = 4

#: In a fresh interpreter that has imported nothing but this.
IMPORT = """
import os, sys, time
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
before, began = resident(), time.process_time()
{imports}
print((time.process_time() - began) * 1e3, resident() - before)
"""


class Failed(Exception):
    """A contestant could not do what was asked, in its own words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effort:
    """How much is measured."""

    rounds: int
    starts: int
    thread_rounds: int
    checked_users: int
    #: How long one contestant is asked in one round.
    seconds: float


@dataclass(kw_only=True, slots=True)
class Series:
    """One measurement: by contestant the values of each round, and why some are missing."""

    values: dict[str, list[float]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        self.values.setdefault(name, []).append(value)


class Process:
    """A contestant's worker."""

    def __init__(self, environment: Environment) -> None:
        self._process = subprocess.Popen(
            [environment.python, HERE / "worker.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, request: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"do": request, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise Failed(f"its process ended during {request}")
        answer: dict[str, Any] = json.loads(line)
        if "problem" in answer:
            raise Failed(answer["problem"])
        return answer

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def running(environment: Environment) -> Iterator[Process]:
    process = Process(environment)
    try:
        yield process
    finally:
        process.end()


Field = Mapping[Entry, Environment]


def evaluations(
    entrants: Field, effort: Effort, *, rules: bool = False, openfeature: bool = False, yardstick: Entry | None = None
) -> Series:
    """Nanoseconds per evaluation; `yardstick` is not checked for what it answers."""
    series = Series()
    with ExitStack() as stack:
        processes: dict[Entry, tuple[Process, int]] = {}
        for entry, environment in entrants.items():
            process = stack.enter_context(running(environment))
            try:
                process.ask("open", module=entry.module, options=dict(entry.options), openfeature=openfeature)
                process.ask("load", flags=FLAGS, rules=rules)
                if entry is not yardstick:
                    series.digests[entry.name] = check(process, effort.checked_users)
                process.ask("prepare", users=USERS)
                processes[entry] = process, calibrate(process, effort.seconds)
            except Failed as problem:
                series.problems[entry.name] = str(problem)
        for number in range(effort.rounds):
            for entry, (process, count) in processes.items():
                series.add(entry.name, process.ask("round", start=number * count, count=count)["ns"])
    return series


def check(process: Process, users: int) -> str:
    """Nobody is timed on the way to an error: a quarter must be in, and everybody who meets a rule."""
    found = process.ask("check", users=users)
    if not found["booleans"]:
        raise Failed("it answers something other than booleans")
    if abs(found["share"] * 100 - SHARE) > 1:
        raise Failed(f"{found['share']:.1%} of the users have the flags, {SHARE} % should")
    if found["rules"] not in (None, 1.0):
        raise Failed(f"only {found['rules']:.0%} of those who meet a rule have the flag")
    return str(found["digest"])


def calibrate(process: Process, seconds: float) -> int:
    """How many evaluations take about that long, in steps that ask about every flag equally often."""
    process.ask("round", start=0, count=FLAGS)
    each = process.ask("round", start=FLAGS, count=FLAGS)["ns"]
    return min(max(int(seconds * 1e9 / each) // FLAGS, 1) * FLAGS, USERS // (2 * THREADS))


def threads(entrants: Field, effort: Effort) -> Series:
    """How much more several threads get done together than one alone: 1 is a global interpreter lock without loss."""
    series = Series()
    with ExitStack() as stack:
        processes = {}
        for entry, environment in entrants.items():
            process = stack.enter_context(running(environment))
            try:
                process.ask("open", module=entry.module, options=dict(entry.options), openfeature=False)
                process.ask("load", flags=FLAGS, rules=False)
                process.ask("prepare", users=USERS)
                # Long enough for the interpreter to switch several times.
                processes[entry] = process, calibrate(process, effort.seconds * 3)
            except Failed as problem:
                series.problems[entry.name] = str(problem)
        for number in range(effort.thread_rounds):
            for entry, (process, count) in processes.items():
                # Users whom no other round has just brought into the processor's caches.
                start = number * (THREADS + 1) * count
                alone = process.ask("threads", start=start, count=count, threads=1)["ns"]
                together = process.ask("threads", start=start + count, count=count, threads=THREADS)["ns"]
                series.add(entry.name, alone / together)
    return series


def imports(entrants: Field, effort: Effort) -> tuple[Series, Series]:
    """Milliseconds and megabytes for the import of the SDK, each time in a fresh interpreter."""
    milliseconds, megabytes = Series(), Series()
    for _ in range(effort.starts):
        for entry, environment in entrants.items():
            done = subprocess.run(
                [environment.python, "-I", "-c", IMPORT.format(imports=entry.imports)],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                milliseconds.problems[entry.name] = done.stderr.strip().splitlines()[-1]
                continue
            took, grown = map(float, done.stdout.split()[-2:])
            milliseconds.add(entry.name, took)
            megabytes.add(entry.name, grown)
    return milliseconds, megabytes


def first_answers(entrants: Field, effort: Effort) -> tuple[Series, Series]:
    """Milliseconds and megabytes from before the import to the first answer, each time in a fresh process."""
    return _in_fresh_processes(
        entrants, effort, lambda process, entry: process.ask("start", module=entry.module, options=dict(entry.options))
    )


def many_flags(entrants: Field, effort: Effort) -> tuple[Series, Series]:
    """Milliseconds and megabytes to load many flags, each time in a fresh process."""

    def load(process: Process, entry: Entry) -> dict[str, Any]:
        process.ask("open", module=entry.module, options=dict(entry.options), openfeature=False)
        return process.ask("load", flags=MANY_FLAGS, rules=False)

    return _in_fresh_processes(entrants, effort, load)


def _in_fresh_processes(
    entrants: Field, effort: Effort, ask: Callable[[Process, Entry], dict[str, Any]]
) -> tuple[Series, Series]:
    milliseconds, megabytes = Series(), Series()
    for _ in range(effort.starts):
        for entry, environment in entrants.items():
            with running(environment) as process:
                try:
                    answer = ask(process, entry)
                except Failed as problem:
                    milliseconds.problems[entry.name] = str(problem)
                    continue
            milliseconds.add(entry.name, answer["ms"])
            megabytes.add(entry.name, answer["mb"])
    return milliseconds, megabytes
