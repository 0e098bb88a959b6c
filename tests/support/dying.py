"""Reconcilers that are killed by `kill -9` at a chosen step of a look at a breach.

Run as a script it forks one for each line that it reads, `URL STEP`, and says how it ended. It has no threads, so that
forking is safe, and it imports everything once, so that each death costs milliseconds.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

#: In the order of a look; the name says what has just been done.
STEPS = (
    "claimed",
    "measured",
    "settled",
    "decided",
    "evidence-added",
    "rollout-saved",
    "ruleset-added",
    "decision-added",
    "committed",
    "published",
)
#: From there on the decision is kept.
KEPT_FROM = "committed"


@contextmanager
def deaths() -> Iterator[Callable[[str, str], int]]:
    """A function that lets a reconciler on that database die at that step; returns the signal that ended it."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:

        def die(url: str, step: str) -> int:
            print(url, step, file=server.stdin, flush=True)
            return int(server.stdout.readline())

        yield die
        server.stdin.close()


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import support.world  # noqa: F401 - before the forks, so that none of them has to

    for line in sys.stdin:
        url, step = line.split()
        if (child := os.fork()) == 0:
            try:
                look_and_die(url, step)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, flush=True)


def look_and_die(url: str, step: str) -> None:
    from support.world import World
    from wavegate_controller.delivery import Hub
    from wavegate_controller.domain.measurement import Value
    from wavegate_controller.service import conclude, reconcile
    from wavegate_controller.store import SqlStore, open_engine
    from wavegate_controller.store.claims import SqlClaims
    from wavegate_controller.store.unit_of_work import SqlDecisions, SqlEvidence, SqlRollouts, SqlRulesets

    places = {
        "claimed": (reconcile, "_look_at_all", True),
        "measured": (reconcile, "conclude", True),
        "settled": (SqlClaims, "settle", False),
        "decided": (conclude, "decide_now", False),
        "evidence-added": (SqlEvidence, "add", False),
        "rollout-saved": (SqlRollouts, "save", False),
        "ruleset-added": (SqlRulesets, "add", False),
        "decision-added": (SqlDecisions, "add", False),
        "committed": (Hub, "publish", True),
        "published": (Hub, "publish", False),
    }
    owner, name, is_before = places[step]
    done = getattr(owner, name)

    def deadly(*arguments, **named):
        if not is_before:
            done(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    # So short that nobody has to wait for its claims to end.
    world = World.over(SqlStore(open_engine(url), claim_ttl=timedelta(milliseconds=1)))
    world.clock.advance(seconds=15)
    world.metrics.value = Value(value=2.0)
    setattr(owner, name, deadly)
    with ThreadPoolExecutor(1) as executor:
        reconcile.tick(world.services, executor)


if __name__ == "__main__":
    main()
