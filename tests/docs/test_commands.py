"""What the documents tell a newcomer to type exists, and what is locked is locked for everybody."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # The suite runs under make itself, whose flags would change what this one prints.
    environment = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS"}}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def targets_in(text: str) -> set[str]:
    return set(re.findall(r"\bmake ([a-z-]+)", text))


def test_make_alone_lists_the_targets_and_each_of_them_exists():
    listed = targets_in(make().stdout)

    assert {"help", "demo", "test", "check", "lock", "clean"} <= listed
    assert {target: make("--dry-run", target).stderr for target in listed} == dict.fromkeys(listed, "")


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_a_document_names_the_two_commands_and_no_target_that_make_does_not_list(document):
    code = re.findall(r"```.*?```|`[^`\n]+`", (ROOT / document).read_text(), flags=re.DOTALL)

    named = targets_in("\n".join(code))

    assert {"demo", "test"} <= named
    assert named <= targets_in(make("help").stdout)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_locked_distribution_carries_hashes_and_no_registry_is_named(lock):
    text = lock.read_text()
    requirements = re.split(r"\n(?=[a-z0-9])", text.strip())

    assert all(re.match(r"[\w.-]+==\S+", requirement) for requirement in requirements)
    assert all("--hash=sha256:" in requirement for requirement in requirements)
    assert not re.search(r"https?://|file://|--(extra-)?index-url|--find-links", text)
