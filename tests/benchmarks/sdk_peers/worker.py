"""One contestant in a process of its own, asked over a pipe: a line of JSON in, a line of JSON out.

Runs under the contestant's interpreter. Nothing but loopback can be reached from here.
"""

import gc
import hashlib
import importlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from workload import make_flags, make_probes, make_questions

PAGE = os.sysconf("SC_PAGE_SIZE")


class Worker:
    def open(self, module: str, options: dict, *, openfeature: bool) -> dict[str, Any]:
        contestant = importlib.import_module(f"contestants.{module}").Contestant(**options)
        if openfeature:
            from through_openfeature import ThroughOpenFeature

            contestant = ThroughOpenFeature(contestant)
        self.contestant = contestant
        return {}

    def load(self, flags: int, *, rules: bool) -> dict[str, Any]:
        """Loads the flags once, as an app does when it starts; some do the work when they are first asked."""
        self.flags, self.rules = make_flags(flags, rules=rules), rules
        document = self.contestant.document(self.flags)
        question = self.contestant.prepare(make_questions(self.flags, 1, rules=rules))
        gc.collect()
        before, began = resident(), time.process_time()
        self.contestant.load(document)
        self.contestant.evaluate(question)
        took = time.process_time() - began
        gc.collect()
        return {"ms": took * 1e3, "mb": resident() - before}

    def start(self, module: str, options: dict) -> dict[str, Any]:
        """Opens, loads and asks once: what an app waits for before its first answer, lazy imports and all."""
        flags = make_flags(200, rules=False)
        question = make_questions(flags, 1, rules=False)
        before, began = resident(), time.process_time()
        self.open(module, options, openfeature=False)
        waiting = time.process_time()
        document = self.contestant.document(flags)
        waiting -= time.process_time()
        self.contestant.load(document)
        self.ask(question)
        return {"ms": (time.process_time() - began + waiting) * 1e3, "mb": resident() - before}

    def check(self, users: int) -> dict[str, Any]:
        """Answers what proves that this contestant does the work: shares, and a digest to compare with another's."""
        answers = self.ask(make_questions(self.flags, users, rules=self.rules))
        probes = self.ask(make_probes(self.flags)) if self.rules else []
        return {
            "share": sum(answers) / len(answers),
            "rules": sum(probes) / len(probes) if probes else None,
            "booleans": all(type(answer) is bool for answer in answers),
            "digest": hashlib.sha256(bytes(answers)).hexdigest(),
        }

    def ask(self, questions: list) -> list[bool]:
        return self.contestant.evaluate(self.contestant.prepare(questions))

    def prepare(self, users: int) -> dict[str, Any]:
        self.prepared = self.contestant.prepare(make_questions(self.flags, users, rules=self.rules))
        gc.collect()
        # What is there already is not looked at again, so that garbage collection costs nobody for their users.
        gc.freeze()
        return {}

    def round(self, start: int, count: int) -> dict[str, Any]:
        """Evaluates once for each of some users, from this one on; garbage is collected afterwards.

        The time is the processor's for this thread: asking never waits, and what else runs on the
        machine now and then interrupts one contestant and not another.
        """
        some = self.some(start, count)
        gc.disable()
        began = time.thread_time_ns()
        self.contestant.evaluate(some)
        took = time.thread_time_ns() - began
        gc.enable()
        gc.collect()
        return {"ns": took / count}

    def threads(self, start: int, count: int, threads: int) -> dict[str, Any]:
        """The same in several threads at once, each with users of its own, until the last is done."""
        gate = threading.Barrier(threads)
        times: list[int] = []

        def run(some: list) -> None:
            gate.wait()
            began = time.perf_counter_ns()
            self.contestant.evaluate(some)
            times.extend((began, time.perf_counter_ns()))

        workers = [
            threading.Thread(target=run, args=(self.some(start + number * count, count),)) for number in range(threads)
        ]
        gc.disable()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        gc.enable()
        gc.collect()
        return {"ns": (max(times) - min(times)) / (count * threads)}

    def some(self, start: int, count: int) -> list:
        start %= len(self.prepared) - count + 1
        return self.prepared[start : start + count]


def resident() -> float:
    """This process's resident memory, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6


def stay_on_loopback() -> None:
    """Refuses any other connection that Python makes; what native code makes goes to a proxy that is not there."""

    def watch(event: str, arguments: tuple) -> None:
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            host = arguments[1][0]
            if host not in ("127.0.0.1", "::1", "localhost"):
                raise PermissionError(f"the benchmark stays on loopback, {host} is elsewhere")

    sys.addaudithook(watch)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        os.environ[name] = "http://127.0.0.1:9"
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


def main() -> None:
    # Some SDKs print; the pipe is ours.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    stay_on_loopback()
    worker = Worker()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("do"))(**request)
        except Exception as problem:  # noqa: BLE001 # whatever an SDK does, it goes into the report
            answer = {"problem": f"{type(problem).__name__}: {problem}"}
        answers.write(json.dumps(answer) + "\n")
    # Threads of some SDKs would keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()
