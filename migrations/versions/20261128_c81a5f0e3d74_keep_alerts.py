"""Keep alerts.

REASON: Alertmanager repeats what it reports, and two of them report the same, so what an alert did is written down in
the transaction that did it, once for each firing. Code that is running does not know the table and goes on.
"""

import sqlalchemy as sa
from alembic import op

revision = "c81a5f0e3d74"
down_revision = "a41c7be0d95f"
branch_labels = None
depends_on = None

# "pre": runs before the code that needs it (adds). "post": runs once no code needs the old form (removes).
phase = "pre"


def upgrade() -> None:
    op.create_table(
        "alert",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_firing", sa.Boolean(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("flag", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
        sa.UniqueConstraint(
            "fingerprint", "starts_at", "is_firing", name=op.f("uq_alert_fingerprint_starts_at_is_firing")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_alert_environment_id"), "alert", ["environment", "id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_alert_environment_id"), "alert")
    op.drop_table("alert")
