"""Keep evidence compactly.

REASON: a thousand rollouts write their evidence every few seconds. Cursors become bytes, about a tenth of their JSON,
and a measurement no longer repeats its query, which the record of the decision has. Cursors keep their place.
"""

import json
import struct
import zlib
from hashlib import blake2b
from itertools import chain

import sqlalchemy as sa
from alembic import op

revision = "c4f2d86b1e07"
down_revision = "98556ca12baf"
branch_labels = None
depends_on = None

# "pre": runs before the code that needs it (adds). "post": runs once no code needs the old form (removes).
phase = "post"


def upgrade() -> None:
    with op.batch_alter_table("measurement") as measurement:
        measurement.drop_column("query")
    rows = op.get_bind().execute(sa.text("SELECT rollout_id, last FROM counter_cursor")).all()
    packed = {rollout_id: pack(last if isinstance(last, dict) else json.loads(last)) for rollout_id, last in rows}
    with op.batch_alter_table("counter_cursor") as cursor:
        cursor.drop_column("last")
        cursor.add_column(sa.Column("last", sa.LargeBinary(), nullable=True))
    for rollout_id, last in packed.items():
        op.get_bind().execute(
            sa.text("UPDATE counter_cursor SET last = :last WHERE rollout_id = :rollout_id"),
            {"last": last, "rollout_id": rollout_id},
        )
    with op.batch_alter_table("counter_cursor") as cursor:
        cursor.alter_column("last", existing_type=sa.LargeBinary(), nullable=False)


def downgrade() -> None:
    # The labels cannot be had back from their hashes: counting starts again from the next read.
    op.execute("DELETE FROM counter_cursor")
    with op.batch_alter_table("counter_cursor") as cursor:
        cursor.drop_column("last")
        cursor.add_column(sa.Column("last", sa.JSON(), nullable=False))
    with op.batch_alter_table("measurement", recreate="always") as measurement:
        measurement.add_column(sa.Column("query", sa.String(), nullable=False, server_default=""), insert_after="at")
    with op.batch_alter_table("measurement") as measurement:
        measurement.alter_column("query", existing_type=sa.String(), server_default=None)


def pack(last: dict[str, list[float]]) -> bytes:
    keys = [key(json.loads(labels)) for labels in last]
    columns = [*keys, *(sampled_at for sampled_at, _ in last.values()), *(value for _, value in last.values())]
    return zlib.compress(struct.pack(f"<{len(keys)}Q{2 * len(keys)}d", *columns), level=1)


def key(labels: dict[str, str]) -> int:
    text = "\0".join(chain.from_iterable(sorted(labels.items())))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
