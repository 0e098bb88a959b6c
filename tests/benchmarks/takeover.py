"""What a `kill -9` of a reconciler costs: how long its rollouts wait, and that nothing is done twice or lost.

Run it with `python tests/benchmarks/takeover.py`; 200 rounds take some twenty minutes, `--rounds 20` two. All is real
but the metrics: a PostgreSQL, `wavegate serve --role reconcile` in several processes, and rollouts that move at
nearly each look. In each round a process is killed in the middle of its looks, and a new one is started in its place.

Afterwards the database is held to what one undisturbed process would have written: no wave entered twice, no rollback
twice, no look counted twice, one ruleset revision for each change, every good rollout complete, every bad one back.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, pairwise
from pathlib import Path
from statistics import median, quantiles
from threading import Thread
from urllib.parse import parse_qs

from sqlalchemy import Engine, text

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.controllers import ControllerProcess
from support.database import database
from support.postgres import Postgres
from support.waiting import wait_until
from support.world import World
from wavegate_controller.clock import SystemClock
from wavegate_controller.remote import RemoteController
from wavegate_controller.store import SqlStore

#: How long the metrics server takes for an answer: in this time a process holds claims.
ANSWER_SECONDS = 0.2
GATE = {"type": "threshold", "name": "latency", "query": 'latency{flag="{{flag}}"}', "operator": "<", "limit": 1.0}
PLAN = {
    "gates": [GATE],
    "interval": "1s",
    "waves": [{"percent": share, "bake": "1s", "target": "1s"} for share in (10, 25, 50, 100)],
}


class _Metrics(BaseHTTPRequestHandler):
    """Answers for a bad feature with 2, for all else with 0.5."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
        time.sleep(ANSWER_SECONDS)
        value = [float(asked["time"][0]), "2" if "bad-" in asked["query"][0] else "0.5"]
        result = {"resultType": "vector", "result": [{"metric": {}, "value": value}]}
        body = json.dumps({"status": "success", "data": result}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST  # noqa: N815 - the name is the server's

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Whoever asked was killed meanwhile: that is what this is about."""


@dataclass
class Fleet:
    """The reconcilers; the killed ones are replaced."""

    database_url: str
    prometheus_url: str
    living: list[ControllerProcess] = field(default_factory=list)

    def start(self) -> None:
        self.living.append(
            ControllerProcess(
                self.database_url,
                WAVEGATE_ROLE="reconcile",
                WAVEGATE_TICK="200ms",
                WAVEGATE_PROMETHEUS_URL=self.prometheus_url,
            )
        )

    def ready(self) -> bool:
        """Two at least: one to be killed, one to take over."""
        said = [each for each in self.living if any("action=serving" in line for line in tuple(each.log))]
        return sum(RemoteController(each.url).ready() for each in said) > 1

    def kill(self, pid: int) -> float:
        """The time at which it was killed."""
        (victim,) = (each for each in self.living if each.process.pid == pid)
        os.kill(pid, signal.SIGKILL)
        killed_at = time.perf_counter()
        self.living.remove(victim)
        victim.kill()
        return killed_at

    def close(self) -> None:
        for each in self.living:
            each.kill()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--rounds", type=int, default=200)
    arguments.add_argument("--processes", type=int, default=3, help="reconcilers that run at once, 2 or more")
    given = arguments.parse_args()
    with ExitStack() as stack:
        url = stack.enter_context(stack.enter_context(Postgres()).database())
        engine = stack.enter_context(database(url))
        metrics = _Server(("127.0.0.1", 0), _Metrics)
        stack.callback(metrics.server_close)
        Thread(target=metrics.serve_forever, daemon=True).start()
        fleet = Fleet(url, f"http://127.0.0.1:{metrics.server_port}")
        stack.callback(fleet.close)
        world = World.over(SqlStore(engine))
        world.services = replace(world.services, clock=SystemClock())
        for _ in range(given.processes):
            fleet.start()
        numbers, waits, idle = count(1), [], 0
        for number in range(1, given.rounds + 1):
            wait_until(fleet.ready, timeout=120, what="two processes that are ready")
            for _ in range(3):
                for kind in ("good", "bad"):
                    key = f"{kind}-{next(numbers)}"
                    world.flag(key)
                    world.started(key, **PLAN)
            killed_at, lost = killed_in_the_middle(engine, fleet)
            fleet.start()
            if lost:
                waits.append(taken_over(engine, lost) - killed_at)
            else:
                idle += 1
            if number % 20 == 0:
                print(f"{number} rounds: median {median(waits):.1f} s, longest {max(waits):.1f} s", flush=True)
        wait_until(lambda: not unfinished(engine), timeout=180, what="the end of all rollouts")
        report(given, waits, idle, findings(engine), next(numbers) - 1, engine)


def claims(engine: Engine) -> dict[int, dict[str, int]]:
    """Process to what it has claimed, with the terms."""
    held: defaultdict[int, dict[str, int]] = defaultdict(dict)
    query = text("SELECT id, claimed_by, claim_term FROM rollout WHERE claimed_by IS NOT NULL")
    with engine.connect() as connection:
        for rollout_id, holder, term in connection.execute(query):
            held[int(holder.split(":")[1])][rollout_id] = term
    return held


def killed_in_the_middle(engine: Engine, fleet: Fleet) -> tuple[float, dict[str, int]]:
    """When, and what the killed process had claimed: the database is asked once it is dead."""

    def at_work() -> int | None:
        living = {each.process.pid for each in fleet.living}
        return next((pid for pid in claims(engine) if pid in living), None)

    deadline = time.perf_counter() + 60
    while (pid := at_work()) is None:
        assert time.perf_counter() < deadline, "nobody looks at any rollout"
        time.sleep(0.005)
    killed_at = fleet.kill(pid)
    return killed_at, claims(engine).get(pid, {})


def taken_over(engine: Engine, lost: dict[str, int]) -> float:
    """The time at which the last of them had been claimed by another process."""
    query = text("SELECT id, claim_term FROM rollout WHERE id = ANY(:ids)")
    deadline = time.perf_counter() + 120
    while True:
        with engine.connect() as connection:
            terms = {row.id: row.claim_term for row in connection.execute(query, {"ids": list(lost)})}
        if all(terms[rollout_id] > term for rollout_id, term in lost.items()):
            return time.perf_counter()
        assert time.perf_counter() < deadline, f"nobody took over {lost}"
        time.sleep(0.01)


def unfinished(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT id FROM rollout WHERE state NOT IN ('completed', 'rolled_back')"))
        return [row.id for row in rows]


def findings(engine: Engine) -> dict[str, list[object]]:
    """What one undisturbed process would not have written; nothing where all is well."""

    def rows(query: str) -> list:
        with engine.connect() as connection:
            return list(connection.execute(text(query)))

    moves = defaultdict(list)
    for move in rows(
        "SELECT rollout_id, event, wave, weight, revision FROM decision WHERE event <> 'tick' ORDER BY id"
    ):
        moves[move.rollout_id].append(move)
    repeated = [
        (rollout_id, done)
        for rollout_id, each in moves.items()
        for done, times in Counter((move.event, move.wave) for move in each).items()
        if times > 1
    ]
    # The first revision, one for each flag, and one for each change of a weight.
    flags = len(rows("SELECT key FROM flag"))
    changes = [each[0].revision for each in moves.values()] + [
        after.revision for each in moves.values() for before, after in pairwise(each) if before.weight != after.weight
    ]
    published = [row.revision for row in rows("SELECT revision FROM ruleset ORDER BY revision")]
    body = json.loads(bytes(rows("SELECT body FROM ruleset ORDER BY revision DESC LIMIT 1")[0].body))
    ended = {row.flag_key: row.state for row in rows("SELECT flag_key, state FROM rollout")}
    return {
        "moves made twice": repeated,
        "looks recorded twice": rows(
            "SELECT rollout_id, at FROM decision WHERE actor = 'wavegate' GROUP BY 1, 2 HAVING count(*) > 1"
        ),
        "measurements counted twice": rows(
            "SELECT rollout_id, gate, at FROM measurement GROUP BY 1, 2, 3 HAVING count(*) > 1"
        ),
        "revisions that two moves share": [each for each, times in Counter(changes).items() if times > 1],
        "revisions too many or too few": []
        if published == list(range(1, 1 + len(published))) and len(published) - len(changes) - flags in (0, 1)
        else [(len(published), len(changes), flags)],
        "good rollouts that did not complete": [k for k, s in ended.items() if k[0] == "g" and s != "completed"],
        "bad rollouts that are not rolled back": [k for k, s in ended.items() if k[0] == "b" and s != "rolled_back"],
        "rollbacks that were not published": [
            key for key, flag in body["flags"].items() if key[0] == "b" and flag["rollout"]["weight"] > 0
        ],
    }


def report(given, waits, idle, found, rollouts, engine) -> None:
    with engine.connect() as connection:
        moves, looks = connection.execute(
            text("SELECT count(*) FILTER (WHERE event <> 'tick'), count(*) FROM decision")
        ).one()
    cuts = quantiles(waits, n=100, method="inclusive")
    print(f"\n{given.processes} reconcilers, {rollouts} rollouts, {looks} decisions, {moves} of them moves\n")
    print("| | |\n|---|---|")
    print(f"| rounds of kill -9 | {given.rounds}, {len(waits)} of them with claims held |")
    print(f"| taken over after, median | {median(waits):.2f} s |")
    print(f"| 99 of 100 within | {cuts[98]:.2f} s |")
    print(f"| longest | {max(waits):.2f} s |")
    for what, cases in found.items():
        print(f"| {what} | {len(cases)}{f': {cases[:3]}' if cases else ''} |")
    if any(found.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
