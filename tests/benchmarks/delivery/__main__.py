"""From a kill to the last client, measured on this machine; see docs/benchmarks.md.

    python tests/benchmarks/delivery                 # all, in about two minutes
    python tests/benchmarks/delivery --streams 1000 --processes 10 --rounds 3

The controller is `wavegate serve` on one core, everything else has the other. Its own API is asked to roll a rollout
back, one flag's among two hundred: transaction, decision, audit, rendering and push are all in the numbers.
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
from contextlib import contextmanager
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
    beside: list[tuple[str, float]] = field(default_factory=list)

    def __str__(self) -> str:
        ordered = sorted(self.rounds)
        worst = ordered[-1]
        middle = median(ordered)
        beside = ", ".join(f"{seconds / middle:,.0f} times sooner than {name}" for name, seconds in self.beside)
        figures = f"{middle * 1000:,.0f} ms | {worst * 1000:,.0f} ms"
        return f"| {self.what} | {self.target} | {figures} | {len(ordered)} | {beside} |"


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

    def __init__(self, name: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, HERE / name, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        os.sched_setaffinity(self.process.pid, CLIENT)

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
def programs(name: str, count: int, *arguments: object):
    started = [Program(name, *arguments) for _ in range(count)]
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
    beside = [(f"Unleash ({name})", seconds) for name, seconds in UNLEASH.items()]
    return Row(f"roll back → last of {count} SDK processes", "p99 ≤ 250 ms", lasts, beside)


def delivered(swarm: Program) -> float:
    """When the change had reached the last stream."""
    word, _, last = swarm.line()
    assert word == "delivered"
    return float(last)


def to_streams(server: Server, count: int, rounds: int, *, through: Server | None = None) -> list[Row | str]:
    """All in one program, byte by byte; another asks for the ruleset all the while."""
    asked = through or server
    before = server.resident_kb
    with programs("swarm.py", 1, server.port, count) as (swarm,), programs("probe.py", 1, server.url) as (probe,):
        word, errors, connect_seconds = swarm.line()
        assert (word, errors) == ("connected", "0")
        # Streams that came up were asked to say who they are; that is over then.
        time.sleep(2)
        memory = (server.resident_kb - before) / count
        lasts, slowest = [], []
        for _ in range(rounds):
            print("begin", file=probe.process.stdin, flush=True)
            began = roll_back(asked.url)
            lasts.append(delivered(swarm) - began)
            print("end", file=probe.process.stdin, flush=True)
            slowest.append(float(probe.line()[0]))
            time.sleep(0.5)
            start_again(asked.url)
            delivered(swarm)
            time.sleep(0.5)
        if through is not None:
            return [Row(f"roll back → last of {count:,} streams through a second replica", "≤ 200 ms", lasts)]
        found: list[Row | str] = [
            Row(f"roll back → last of {count:,} streams", "≤ 150 ms, worst ≤ 200 ms", lasts),
            Row("slowest other request meanwhile", "≤ 100 ms", slowest),
            f"memory: {memory:.1f} kB a stream (target ≤ 15); {count / float(connect_seconds):,.0f} connects a second",
        ]
        stopped = server.stop()
        restarted = Server(server.directory, port=server.port)
        print("begin", file=probe.process.stdin, flush=True)
        word, errors, seconds = swarm.line()
        assert word == "reconnected"
        print("end", file=probe.process.stdin, flush=True)
        stall = float(probe.line()[0])
        server.process = restarted.process
        found.append(
            f"restart: gone within {stopped:.2f} s of SIGTERM (target ≤ 2); all {count:,} streams back "
            f"{float(seconds):.1f} s after the first was lost, {errors} errors (target 0), and no other request took "
            f"longer than {stall * 1000:.0f} ms meanwhile"
        )
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--without-replica", action="store_true")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print("| what | target | median | worst | rounds | beside |\n|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        with Server(directory) as server:
            make_flags(server.url)
            start_rollout(server.url)
            print(to_sdk_processes(server.url, options.processes, options.rounds), flush=True)
            for found in to_streams(server, options.streams, options.rounds):
                print(found, flush=True)
    if options.without_replica:
        return
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
