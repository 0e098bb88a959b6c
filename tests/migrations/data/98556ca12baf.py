"""A row in every table of the first schema, by plain SQL as an older version would have left it."""

from sqlalchemy import text

ROWS = {
    "flag": {
        "environment": "production",
        "key": "ai-summaries",
        "description": "",
        "enabled": True,
        "variants": '{"on": true, "off": false}',
        "default_variant": "off",
        "salt": None,
        "bucket_by": None,
        "generation": "v3",
        "created_at": "2026-01-14 12:00:00.000000",
        "updated_at": "2026-01-14 12:00:00.000001",
        "version": 1,
    },
    "rollout": {
        "id": "ai-summaries:1",
        "environment": "production",
        "flag_key": "ai-summaries",
        "stable": "off",
        "candidate": "on",
        "plan": '{"waves": [{"percent": 10.0, "bake": "1h", "approval": "auto"}]}',
        "created_by": "ada",
        "created_at": "2026-01-14 12:00:00.000000",
        "updated_at": "2026-01-14 12:00:00.000000",
        "state": "running",
        "pause_reason": None,
        "wave": 0,
        "started_at": "2026-01-14 12:00:00.000000",
        "wave_since": "2026-01-14 12:00:00.000000",
        "evidence_since": "2026-01-14 12:00:00.000000",
        "next_look_at": "2026-01-14 12:00:15.000000",
        "version": 2,
    },
    "measurement": {
        "id": 1,
        "rollout_id": "ai-summaries:1",
        "gate": "latency",
        "at": "2026-01-14 12:00:15.000000",
        "query": "up",
        "kind": "value",
        "payload": '{"value": 0.25}',
    },
    "counter_cursor": {
        "rollout_id": "ai-summaries:1",
        "read_at": "2026-01-14 12:00:15.000000",
        "last": '{"{}": [1768392015.0, 7.0]}',
    },
    "decision": {
        "id": 1,
        "rollout_id": "ai-summaries:1",
        "at": "2026-01-14 12:00:15.000000",
        "actor": "wavegate",
        "event": "tick",
        "reason": "baking",
        "sentence": "all gates pass",
        "comment": "",
        "state_before": "running",
        "state": "running",
        "wave": 0,
        "weight": 10000,
        "revision": 1,
        "verdicts": "[]",
    },
    "ruleset": {
        "environment": "production",
        "revision": 1,
        "body": b"{}",
        "etag": "e",
        "published_at": "2026-01-14 12:00:00.000000",
    },
}


def before(connection):
    """There is nothing before the first migration."""


def after(connection):
    for table, row in ROWS.items():
        names = ", ".join(f'"{name}"' for name in row)
        places = ", ".join(f":{name}" for name in row)
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), row)

        assert connection.execute(text(f"SELECT {names} FROM {table}")).mappings().all() == [row]
