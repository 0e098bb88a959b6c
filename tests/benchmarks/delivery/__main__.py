"""From a kill to the last client, measured on this machine; see docs/benchmarks.md.

    python tests/benchmarks/delivery                 # all, in about three minutes
    python tests/benchmarks/delivery --streams 1000 --processes 10 --rounds 3
    python tests/benchmarks/delivery --only streams --rounds 30

The controller is `wavegate serve` on one core, everything else has the other. Its own API is asked to roll a rollout
back, one flag's among two hundred: transaction, decision, audit, rendering and push are all in the numbers. In turns
with it a bare loop (bare.py) pushes as many bytes to as many clients from the same core: what it takes is what the
machine gives at that moment.
"""

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Self

import requests

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from support.live_controller import WAVEGATE, environment  # noqa: E402 # found by the line above
from support.postgres import Postgres  # noqa: E402
from support.waiting import wait_until  # noqa: E402

CORES = sorted(os.sched_getaffinity(0))
SERVER, CLIENT = CORES[:1], CORES[1:] or CORES
FLAGS = 200
#: Seconds from a change to the last application, as measured on a like machine (2 shared cores) with the same 50
#: processes: Unleash 7.5 with its Python client as it comes, and with both intervals at one second.
UNLEASH = {"default": 13.5, "1 s poll": 1.4}


@dataclass
class Row:
    """One line of the table."""

    what: str
    target: str
    rounds: list[float]
    beside: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        ordered = sorted(self.rounds)
        worst = ordered[-1]
        middle = median(ordered)
        figures = f"{middle * 1000:,.0f} ms | {worst * 1000:,.0f} ms"
        return f"| {self.what} | {self.target} | {figures} | {len(ordered)} | {', '.join(self.beside)} |"


@dataclass
class Push:
    """One change on its way to all streams, or the median of several.

    Attributes:
        last: seconds until it had reached the last one.
        processor: seconds of it that the server computed, the kernel's work for it included.
        reading: seconds of a processor that the clients took to read it.
    """

    last: float
    processor: float
    reading: float

    @classmethod
    def median(cls, pushes: list["Push"]) -> Self:
        return cls(*(median(getattr(push, name) for push in pushes) for name in ("last", "processor", "reading")))


def beside_bare(pushes: list[Push], bare: list[Push]) -> str:
    """What is to be compared between machines and hours: ratios of what was measured in turns."""
    ours, least = Push.median(pushes), Push.median(bare)
    return (
        f"in turns with a bare loop's push of {least.last * 1000:,.0f} ms: {ours.last / least.last:.2f} times; "
        f"processor {ours.processor * 1000:,.0f} and {least.processor * 1000:,.0f} ms: "
        f"{ours.processor / least.processor:.2f} times; "
        f"its clients read in {ours.reading * 1000:,.0f} and {least.reading * 1000:,.0f} ms of theirs"
    )


def processor_time(pid: int) -> float:
    """Seconds that the threads of a process have computed."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


class Server:
    """`wavegate serve` on its core."""

    def __init__(self, directory: Path, *, database: str = "", port: int = 0) -> None:
        self.directory = directory
        settings = {
            "WAVEGATE_DATABASE_URL": database or f"sqlite:///{directory / 'wavegate.db'}",
            "WAVEGATE_PROMETHEUS_URL": "http://127.0.0.1:1",
            "WAVEGATE_OPEN": "true",
            "WAVEGATE_PORT": str(port),
        }
        self.process = subprocess.Popen(
            [WAVEGATE, "serve"],
            env=environment(**settings),
            stderr=subprocess.PIPE,
            text=True,
        )
        os.sched_setaffinity(self.process.pid, SERVER)
        log = []
        for line in self.process.stderr:
            log.append(line)
            if said := re.search(r"action=serving url=(\S+)", line):
                break
        else:
            raise RuntimeError("the controller did not start:\n" + "".join(log))
        self.url = said[1]
        self.port = int(self.url.rpartition(":")[2])
        self._reader = threading.Thread(target=log.extend, args=(self.process.stderr,), daemon=True)
        self._reader.start()
        wait_until(lambda: requests.get(f"{self.url}/readyz", timeout=5).ok)

    @property
    def resident_kb(self) -> int:
        """Its memory."""
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())[1])

    def stop(self) -> float:
        """Seconds until it was gone."""
        began = time.monotonic()
        self.process.terminate()
        self.process.wait(20)
        return time.monotonic() - began

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def make_flags(url: str) -> None:
    """As many as a company may have."""
    session = requests.Session()
    for number in range(FLAGS):
        session.post(f"{url}/api/v1/flags", json={"key": f"flag-{number}"}, timeout=20).raise_for_status()


FLAG = "flag-7"


def post(url: str, path: str, **body: object) -> None:
    """Something is done by hand."""
    answer = requests.post(f"{url}/api/v1/{path}", json={"actor": "bench", **body}, timeout=20)
    if not answer.ok:
        raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")


def start_rollout(url: str) -> None:
    """Half of the users have the candidate, for as long as nobody says anything else."""
    post(url, "rollouts", flag=FLAG, plan={"waves": [{"percent": 50, "bake": "1d"}]})
    post(url, f"rollouts/{FLAG}/start")


def roll_back(url: str) -> float:
    """Take the rollout back; the moment before it was asked."""
    began = time.monotonic()
    post(url, f"rollouts/{FLAG}/roll_back", comment="it is slow")
    return began


def start_again(url: str) -> None:
    """The same once more, as the next test."""
    post(url, f"rollouts/{FLAG}/restart", comment="once more")


class Program:
    """One of the programs beside this one, which says a line for everything that happens to it."""

    def __init__(self, name: str, *arguments: object, cores: list[int] = CLIENT) -> None:
        self.process = subprocess.Popen(
            [sys.executable, HERE / name, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        os.sched_setaffinity(self.process.pid, cores)

    def line(self) -> list[str]:
        """The next line, as words."""
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args[1]} ended with {self.process.wait()}")
        return line.split()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stdin.close()


@contextmanager
def programs(name: str, count: int, *arguments: object, cores: list[int] = CLIENT):
    started = [Program(name, *arguments, cores=cores) for _ in range(count)]
    try:
        yield started
    finally:
        for program in started:
            program.close()


def to_sdk_processes(url: str, count: int, rounds: int) -> Row:
    """Each a Python process with a client as it comes."""
    with programs("app.py", count, url) as apps:
        for app in apps:
            assert app.line() == ["streaming"]
        lasts = []
        for _ in range(rounds):
            began = roll_back(url)
            lasts.append(max(float(app.line()[1]) for app in apps) - began)
            start_again(url)
            for app in apps:
                app.line()
            time.sleep(0.2)
    beside = [f"{seconds / median(lasts):,.0f} times sooner than Unleash ({name})" for name, seconds in UNLEASH.items()]
    return Row(f"roll back → last of {count} SDK processes", "p99 ≤ 250 ms", lasts, beside)


def delivered(swarm: Program) -> tuple[float, int, float]:
    """When the change had reached the last stream, its bytes, and what reading it took."""
    word, last, size, reading = swarm.line()
    assert word == "delivered"
    return float(last), int(size), float(reading)


@contextmanager
def bare_server(count: int):
    """Pushes so many bytes to its streams."""
    with (
        programs("bare.py", 1, cores=SERVER) as (server,),
        programs("swarm.py", 1, server.line()[0], count) as (swarm,),
    ):
        assert swarm.line()[:2] == ["connected", "0"]

        def push(size: int) -> Push:
            before = processor_time(server.process.pid)
            print(size, file=server.process.stdin, flush=True)
            began = float(server.line()[0])
            last, _, reading = delivered(swarm)
            return Push(last - began, processor_time(server.process.pid) - before, reading)

        yield push


def to_streams(server: Server, count: int, rounds: int, *, through: Server | None = None) -> list[Row | str]:
    """All in one program, byte by byte; another asks for the ruleset all the while."""
    asked = through or server
    before = server.resident_kb
    with (
        programs("swarm.py", 1, server.port, count) as (swarm,),
        programs("probe.py", 1, server.port) as (probe,),
        ExitStack() as stack,
    ):
        word, errors, connect_seconds = swarm.line()
        assert (word, errors) == ("connected", "0")
        # Streams that came up were asked to say who they are; that is over then.
        time.sleep(2)
        memory = (server.resident_kb - before) / count
        push_bare = stack.enter_context(bare_server(count))
        pushes, bare, slowest = [], [], []
        for _ in range(rounds):
            print("begin", file=probe.process.stdin, flush=True)
            spent = processor_time(server.process.pid)
            began = roll_back(asked.url)
            last, size, reading = delivered(swarm)
            pushes.append(Push(last - began, processor_time(server.process.pid) - spent, reading))
            print("end", file=probe.process.stdin, flush=True)
            slowest.append(float(probe.line()[0]))
            time.sleep(0.5)
            bare.append(push_bare(size))
            start_again(asked.url)
            delivered(swarm)
            time.sleep(0.5)
        lasts, beside = [push.last for push in pushes], beside_bare(pushes, bare)
        if through is not None:
            return [Row(f"roll back → last of {count:,} streams through a second replica", "≤ 200 ms", lasts, [beside])]
        found: list[Row | str] = [
            Row(f"roll back → last of {count:,} streams", "≤ 150 ms, worst ≤ 200 ms", lasts, [beside]),
            Row("slowest other request meanwhile", "≤ 100 ms", slowest),
            f"memory: {memory:.1f} kB a stream (target ≤ 15); {count / float(connect_seconds):,.0f} connects a second",
        ]
        # The bare loop's clients would come back, too.
        stack.close()
        found.append(restart(server, count, swarm, probe))
        return found


def restart(server: Server, count: int, swarm: Program, probe: Program) -> str:
    """All streams are lost at once, and come back."""
    stopped = server.stop()
    restarted = Server(server.directory, port=server.port)
    print("begin", file=probe.process.stdin, flush=True)
    word, errors, seconds = swarm.line()
    assert word == "reconnected"
    print("end", file=probe.process.stdin, flush=True)
    stall = float(probe.line()[0])
    server.process = restarted.process
    return (
        f"restart: gone within {stopped:.2f} s of SIGTERM (target ≤ 2); all {count:,} streams back "
        f"{float(seconds):.1f} s after the first was lost, {errors} errors (target 0), and no other request took "
        f"longer than {stall * 1000:.0f} ms meanwhile"
    )


PARTS = ("processes", "streams", "replica")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print("| what | target | median | worst | rounds | beside |\n|---|---|---|---|---|---|", flush=True)
    if {"processes", "streams"} & set(options.only):
        with tempfile.TemporaryDirectory() as place, Server(Path(place)) as server:
            make_flags(server.url)
            start_rollout(server.url)
            if "processes" in options.only:
                print(to_sdk_processes(server.url, options.processes, options.rounds), flush=True)
            if "streams" in options.only:
                for found in to_streams(server, options.streams, options.rounds):
                    print(found, flush=True)
    if "replica" in options.only:
        with (
            Postgres() as postgres,
            postgres.database() as database,
            tempfile.TemporaryDirectory() as place,
            Server(Path(place), database=database) as one,
        ):
            make_flags(one.url)
            start_rollout(one.url)
            with Server(Path(place), database=database) as other:
                for found in to_streams(other, options.streams, options.rounds, through=one):
                    print(found, flush=True)


if __name__ == "__main__":
    main()
