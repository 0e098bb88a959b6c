"""Hold the whole machine.

REASON: approvals by several people, pins, the bake after the last wave, freeze windows, templates, and everything
that a flag serves by name need a place; what was there goes on without any of it. Who stopped a flag that is disabled
already, nobody has written down.
"""

import sqlalchemy as sa
from alembic import op

revision = "a41c7be0d95f"
down_revision = "9f41d0c67be2"
branch_labels = None
depends_on = None

# "pre": runs before the code that needs it (adds). "post": runs once no code needs the old form (removes).
phase = "pre"


def upgrade() -> None:
    with op.batch_alter_table("flag") as flag:
        flag.add_column(sa.Column("prerequisites", sa.JSON(), nullable=True))
        flag.add_column(sa.Column("targeting", sa.JSON(), nullable=True))
        flag.add_column(sa.Column("stopped", sa.JSON(), nullable=True))
        flag.add_column(sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("rollout") as rollout:
        rollout.add_column(sa.Column("approvals", sa.JSON(), nullable=False, server_default="[]"))
        rollout.add_column(sa.Column("pin", sa.JSON(), nullable=True))
        rollout.add_column(sa.Column("final_bake_since", sa.DateTime(timezone=True), nullable=True))
        rollout.add_column(sa.Column("unwatched", sa.Float(), nullable=False, server_default="0"))
        rollout.add_column(sa.Column("template", sa.String(), nullable=True))
    with op.batch_alter_table("decision") as decision:
        decision.add_column(sa.Column("circumstances", sa.JSON(), nullable=True))
    op.create_table(
        "segment",
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("condition", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("environment", "key", name="pk_segment"),
    )
    op.create_table(
        "plan_template",
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("environment", "name", "version", name="pk_plan_template"),
    )
    op.create_table(
        "calendar",
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("freeze_windows", sa.JSON(), nullable=False),
        sa.Column("updated_by", sa.String(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("environment", name="pk_calendar"),
    )


def downgrade() -> None:
    for table in ("calendar", "plan_template", "segment"):
        op.drop_table(table)
    with op.batch_alter_table("decision") as decision:
        decision.drop_column("circumstances")
    with op.batch_alter_table("rollout") as rollout:
        for name in ("template", "unwatched", "final_bake_since", "pin", "approvals"):
            rollout.drop_column(name)
    with op.batch_alter_table("flag") as flag:
        for name in ("archived_at", "stopped", "targeting", "prerequisites"):
            flag.drop_column(name)
