"""A message that waits goes on waiting, and alerts can be kept."""

from sqlalchemy import text

MESSAGE = {
    "id": 1,
    "message_id": "msg_1",
    "channel": "team-ai",
    "environment": "production",
    "line": "production/ai-summaries",
    "message": "{}",
    "state": "pending",
    "attempts": 0,
    "created_at": "2026-01-14 12:00:00.000000",
    "next_attempt_at": "2026-01-14 12:00:00.000000",
    "claimed_until": None,
    "delivered_at": None,
    "error": "",
}


def before(connection):
    names = ", ".join(MESSAGE)
    places = ", ".join(f":{name}" for name in MESSAGE)
    connection.execute(text(f"INSERT INTO outbox ({names}) VALUES ({places})"), MESSAGE)


def after(connection):
    assert connection.execute(text("SELECT id, state, channel FROM outbox")).all() == [(1, "pending", "team-ai")]
    assert connection.execute(text("SELECT * FROM alert")).all() == []
