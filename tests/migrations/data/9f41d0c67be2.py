"""What is in the audit stays, and a channel and a message can be kept."""

from sqlalchemy import text

ENTRY = {
    "sequence": 1,
    "at": "2026-01-14T12:00:00.000000Z",
    "actor": "ada",
    "actor_kind": "person",
    "action": "flag.create",
    "subject": "ai-summaries",
    "environment": "production",
    "reason": "",
    "before": None,
    "after": "{}",
    "evidence": None,
    "previous": "0" * 64,
    "hash": "f" * 64,
}


def before(connection):
    names = ", ".join(f'"{name}"' for name in ENTRY)
    places = ", ".join(f":{name}" for name in ENTRY)
    connection.execute(text(f"INSERT INTO audit ({names}) VALUES ({places})"), ENTRY)


def after(connection):
    assert connection.execute(text("SELECT * FROM audit")).mappings().all() == [ENTRY]
    for table in ("channel", "outbox"):
        assert connection.execute(text(f"SELECT * FROM {table}")).all() == []
