"""A rollout with a measurement and a cursor in the old form; the cursor must go on where it was."""

import json
import runpy
from pathlib import Path

from sqlalchemy import text

from wavegate_controller.domain.counts import series_key
from wavegate_controller.store.mapping import _unpack

OLDER = runpy.run_path(str(Path(__file__).with_name("98556ca12baf.py")))["ROWS"]
LABELS = {"__name__": "wavegate_requests_total", "variant": "on", "cohort": "3", "region": "süd"}
SAMPLE = (1768392015.123, 7.0)
CURSOR = OLDER["counter_cursor"] | {"last": json.dumps({json.dumps(LABELS, sort_keys=True): SAMPLE})}


def before(connection):
    for table, row in (OLDER | {"counter_cursor": CURSOR}).items():
        names = ", ".join(f'"{name}"' for name in row)
        places = ", ".join(f":{name}" for name in row)
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), row)


def after(connection):
    kept = {name: value for name, value in OLDER["measurement"].items() if name != "query"}

    assert connection.execute(text("SELECT * FROM measurement")).mappings().all() == [kept]
    cursor = connection.execute(text("SELECT * FROM counter_cursor")).mappings().one()
    assert cursor["read_at"] == CURSOR["read_at"]
    assert _unpack(cursor["last"]) == {series_key(LABELS): SAMPLE}
