"""Clients in processes that fork, end or are ended; each app here is a process of its own."""

import json
import subprocess
import sys

import pytest

from support.stand_in import HALF, StandIn, document

#: What the apps below begin with.
PROLOGUE = """
import collections, json, os, signal, sys, threading, time
import wavegate
from prometheus_client import REGISTRY

def total(name, registry=REGISTRY):
    return sum(s.value for f in registry.collect() for s in f.samples if s.name == name)

def wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)

def in_child(work):
    "What work() gives in a forked child, within 20 seconds."
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            signal.alarm(20)
            os.write(write, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(write)
    said = b""
    while more := os.read(read, 65536):
        said += more
    os.close(read)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
    return json.loads(said)
"""


def run_app(code, *arguments, timeout=60, **variables):
    """What an app printed, as JSON; it must end well and must have nothing to complain about."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", PROLOGUE + code, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **variables,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return json.loads(run.stdout)


@pytest.fixture
def controller():
    with StandIn() as controller:
        controller.serve(document(1, **HALF))
        yield controller


def test_a_forked_child_hears_of_new_rulesets_by_itself(controller):
    told = run_app(
        """
client = wavegate.Client(sys.argv[1], poll_interval=0.02)
client.wait_ready(10)
seen = client.revision

def child():
    before = client.revision
    client.wait_ready(1)
    print_me = [thread.name for thread in threading.enumerate() if thread.name.startswith("wavegate")]
    wait_for(lambda: client.connected and client.age < 1)
    return [before, print_me]

print(json.dumps([in_child(child), in_child(lambda: in_child(child))]))
""",
        controller.url,
    )

    assert told == [[1, ["wavegate-poller"]]] * 2


def test_a_change_after_the_fork_reaches_parent_and_children(controller):
    controller.serve(document(1, on=False))
    app = subprocess.Popen(
        [
            sys.executable,
            "-c",
            PROLOGUE
            + """
client = wavegate.Client(sys.argv[1], poll_interval=0.02)
client.wait_ready(10)
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        children = []
        break
    children.append(child)
else:
    print("forked", flush=True)
wait_for(lambda: client.is_enabled("search", "user-1"))
client.close()
sys.exit(max((os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children), default=0))
""",
            controller.url,
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with app:
        assert app.stdout.readline() == "forked\n"
        controller.serve(document(2, on=True))

        assert app.wait(20) == 0


def test_what_was_counted_before_a_fork_is_counted_once(controller):
    told = run_app(
        """
client = wavegate.Client(sys.argv[1], poll_interval=0.02)
client.wait_ready(10)
for number in range(100):
    client.is_enabled("search", f"user-{number}")
    with client.trial("search", f"user-{number}") as trial:
        trial.cost_usd(0.5)
        trial.fallback()
unfinished = client.trial("search", "user-1")

def counts():
    names = ("evaluations", "requests", "bad", "exposed_users")
    return [total(f"wavegate_{name}_total") for name in names] + [total("wavegate_duration_seconds_count")]

def child():
    before = counts()
    with unfinished:
        "began in the parent, and is the parent's to count"
    with client.trial("search", "user-1"):
        pass
    return [before, counts()]

before, after = in_child(child)
with unfinished:
    pass
print(json.dumps([before, after, counts()]))
""",
        controller.url,
    )

    assert told == [[0, 0, 0, 0, 0], [1, 1, 0, 1, 1], [201, 101, 100, 100, 101]]


@pytest.mark.slow
def test_no_lock_is_held_in_a_child_whenever_the_fork_comes(controller, tmp_path):
    """Threads of the parent do all that a client does while children are forked off, which then do the same."""
    controller.serve(document(1, **HALF))
    told = run_app(
        """
os.environ["PROMETHEUS_MULTIPROC_DIR"] = sys.argv[2]
import prometheus_client.values
import wavegate.client.metrics
wavegate.client.metrics._FOLD_EVERY = 0.0

prometheus_client.values.ValueClass = prometheus_client.values.MultiProcessValue()
client = wavegate.Client(sys.argv[1], poll_interval=0.001)
posting = wavegate.Client(sys.argv[1], poll_interval=0.001, post_counts=True, post_interval=0.001)
client.wait_ready(10)
stop = []

def everything(rounds=None):
    while not stop and rounds != 0:
        for each in (client, posting):
            with each.trial("search", "user-1") as trial:
                trial.tokens(input=1)
            each.feedback("search", "user-1", thumbs_up=False, comment="so so")
        client._counters.flush()
        rounds = rounds and rounds - 1

workers = [threading.Thread(target=everything, daemon=True) for _ in range(2)]
for worker in workers:
    worker.start()

def child():
    everything(rounds=3)
    posting._poster.flush()
    wait_for(lambda: client.age < 1)
    client.close()
    posting.close()
    return True

print(json.dumps([in_child(child) for _ in range(25)]))
stop.append(True)
""",
        controller.url,
        str(tmp_path),
    )

    assert told == [True] * 25


def test_a_client_that_was_closed_stays_closed_in_a_child(controller):
    told = run_app(
        """
client = wavegate.Client(sys.argv[1], poll_interval=0.02)
client.wait_ready(10)
client.close()
print(json.dumps(in_child(lambda: [threading.active_count(), type(client.is_enabled("search", "user-1")).__name__])))
""",
        controller.url,
    )

    assert told == [1, "bool"]


def test_a_child_has_a_connection_of_its_own():
    """With a kept-alive connection that both used, each would read the other's answers."""
    with StandIn(keep_alive=True) as controller:
        controller.serve(document(1, **HALF))
        told = run_app(
            """
client = wavegate.Client(sys.argv[1], poll_interval=0.02)
client.wait_ready(10)

def sockets():
    links = []
    for name in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            pass
    return {link for link in links if link.startswith("socket:")}

wait_for(sockets)
time.sleep(0.01)
theirs = sockets()

def child():
    wait_for(lambda: sockets() - theirs)
    return sorted(sockets() & theirs)

# At the moment of a request the connection is that thread's alone and cannot be found; mostly it is not.
shared = min((in_child(child) for _ in range(5)), key=len)
print(json.dumps([len(theirs), shared]))
""",
            controller.url,
        )

    assert told == [1, []]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_multiprocessing_hand_over_what_they_counted(controller, tmp_path, method):
    app = tmp_path / "app.py"
    app.write_text(
        """
import multiprocessing, sys
import wavegate

client = None

def begin(url):
    global client
    client = client or wavegate.Client(url, post_counts=True, post_interval=60, poll_interval=0.02)
    client.wait_ready(10)

def work(number):
    begin(sys.argv[1])
    with client.trial("search", f"user-{number}"):
        return client.revision

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[2])
    if sys.argv[2] == "fork":
        begin(sys.argv[1])
    with context.Pool(3) as pool:
        print(pool.map(work, range(30), chunksize=1))
        pool.close()
        pool.join()
"""
    )

    run = subprocess.run(
        [sys.executable, app, controller.url, method],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"PYTHONWARNINGS": "ignore:This process:DeprecationWarning", "PATH": ""},
    )

    assert run.stderr == ""
    assert json.loads(run.stdout) == [1] * 30
    arms = [arm for post in controller.posts() for arm in post["arms"]]
    assert sum(sum(arm.get("requests", ())) for arm in arms) == 30


def test_the_end_of_the_interpreter_makes_no_noise_and_takes_no_time(controller):
    for ending in ("", "raise SystemExit(0)", "client.close()", "threading.Thread(target=client.close).start()"):
        run_app(
            f"""
client = wavegate.Client(sys.argv[1], poll_interval=0.001)
posting = wavegate.Client(sys.argv[1], poll_interval=0.001, post_counts=True, post_interval=0.001)
client.wait_ready(10)
print("1", flush=True)
{ending}
""",
            controller.url,
            timeout=10,
        )


def test_a_controller_that_hangs_does_not_keep_a_process_from_ending():
    with StandIn() as controller:
        controller.answer = controller.post_answer = type(controller.answer)(body=b" " * 10_000, trickle=0.05)
        run_app(
            """
bootstrap = json.loads(sys.argv[2])
client = wavegate.Client(sys.argv[1], timeout=60, post_counts=True, post_interval=0.01, bootstrap=bootstrap)
client.is_enabled("search", "user-1")
time.sleep(0.2)
print("1", flush=True)
""",
            controller.url,
            json.dumps(document(**HALF)),
            timeout=10,
        )


def test_no_count_is_lost_between_threads_and_forks(controller):
    """Four threads in each of four processes, which fork in the middle of it and post all the while."""
    told = run_app(
        """
ROUNDS = 3000
client = wavegate.Client(sys.argv[1], poll_interval=0.01, post_counts=True, post_interval=0.01)
client.wait_ready(10)

def work(seed):
    for number in range(ROUNDS):
        client.is_enabled("search", "user-1")
        with client.trial("search", f"user-{seed}-{number % 50}") as trial:
            trial.tokens(input=3)
            if number % 2:
                trial.fallback()

def begin():
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    return threads

def end(threads):
    for thread in threads:
        thread.join()
    client.close()

threads = begin()
children = []
for _ in range(3):
    time.sleep(0.02)
    child = os.fork()
    if not child:
        end(begin())
        os._exit(0)
    children.append(child)
end(threads)
print(json.dumps([os.waitpid(child, 0)[1] for child in children]))
""",
        controller.url,
    )
    posts = controller.posts()
    arms = [arm for post in posts for arm in post["arms"]]
    all_requests = 4 * 4 * 3000

    def added(name):
        return sum(sum(counts) for arm in arms for counts in [arm.get(name, ())])

    assert told == [0, 0, 0]
    assert added("requests") == added("duration_buckets") == all_requests
    assert sum(sum(arm.get("bad", {}).get("fallback", ())) for arm in arms) == all_requests / 2
    assert sum(sum(arm.get("values", {}).get("tokens", ())) for arm in arms) == all_requests * 3
    assert sum(one["count"] for post in posts for one in post["evaluations"]) == 2 * all_requests
    # Four processes with the same 200 users each, told apart by 20 bits of their hash, whose seed forks share: in one
    # run of fifty two users are one, in all four.
    assert sum(arm.get("exposed_users", 0) for arm in arms) in (4 * 200, 4 * 199)
    for instance in {post["instance"] for post in posts}:
        numbers = [post["sequence"] for post in posts if post["instance"] == instance]
        assert numbers == list(range(1, len(numbers) + 1))
