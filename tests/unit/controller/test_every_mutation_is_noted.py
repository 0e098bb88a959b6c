"""What a service function changes is in the audit: read from the code, so that a new one cannot forget it."""

import ast
from pathlib import Path

import wavegate_controller.service

FOLDER = Path(wavegate_controller.service.__file__).parent
CHANGES = {"add", "save", "remove", "replace", "retry", "update", "revoke", "delete"}
#: What the machine writes for itself: logs, claims, receipts, what is on its way, what processes tell each other,
#: what a file wished for last, failed sign-ins, who waits to be let in, and rulesets, which follow from the rest.
ITS_OWN = {
    "evidence",
    "decisions",
    "claims",
    "leases",
    "receipts",
    "outbox",
    "applied",
    "failures",
    "rulesets",
    "audit",
    "words",
    "device_logins",
}
#: The same password under a better hash, what people of apps say, and how far a drill is that was noted when it began:
#: nothing that anybody decided.
UPKEEP = {"sessions._renew_hash", "sessions.check_password_of", "feedback._keep", "drills._stand_in"}


def functions():
    """Name to what the functions of that name call, and which repositories they change."""
    found = {}
    for file in sorted(FOLDER.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                calls = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
                names = {each.id for each in calls if isinstance(each, ast.Name)}
                changed = {
                    each.value.attr
                    for each in calls
                    if isinstance(each, ast.Attribute)
                    and each.attr in CHANGES
                    and isinstance(each.value, ast.Attribute)
                    and isinstance(each.value.value, ast.Name)
                    and each.value.value.id == "work"
                }
                found[f"{file.stem}.{node.name}"] = (names, changed - ITS_OWN)
    return found


def notes(name, found, seen=frozenset()):
    """Whether it notes something, or something that it calls does."""
    names, _ = found[name]
    called = {each for each in found if each.partition(".")[2] in names} - seen
    return "note" in names or any(notes(each, found, seen | called) for each in called)


def test_every_function_that_changes_something_notes_it():
    found = functions()
    changing = {name for name, (_, changed) in found.items() if changed}

    assert {"flags.create_flag", "notifications.add_channel", "rollouts.commit", "alerts._take"} <= changing
    assert {name for name in changing - UPKEEP if not notes(name, found)} == set()
