import json
import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).with_name("worker.py")


def ask(module, *requests):
    """One contestant's answers, from a process as the benchmark starts them but with our own interpreter."""
    lines = [{"do": "open", "module": module, "options": {}, "openfeature": False}, *requests]
    done = subprocess.run(
        [sys.executable, WORKER],
        input="".join(json.dumps(line) + "\n" for line in lines),
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()][1:]


@pytest.mark.parametrize("rules", [False, True])
def test_the_floor_and_the_sdk_put_the_same_quarter_of_the_users_in(rules):
    requests = [{"do": "load", "flags": 5, "rules": rules}, {"do": "check", "users": 4000}]

    _, floor = ask("floor", *requests)
    _, sdk = ask("wavegate_sdk", *requests)

    assert sdk == floor
    assert sdk["share"] == pytest.approx(0.25, abs=0.02)
    assert sdk["rules"] == (1 if rules else None)


def test_a_round_is_timed_and_a_failure_is_told_in_its_own_words():
    _, _, round_, failure = ask(
        "wavegate_sdk",
        {"do": "load", "flags": 5, "rules": False},
        {"do": "prepare", "users": 100},
        {"do": "round", "start": 50, "count": 100},
        {"do": "open", "module": "nobody", "options": {}, "openfeature": False},
    )

    assert round_["ns"] > 0
    assert failure == {"problem": "ModuleNotFoundError: No module named 'contestants.nobody'"}
