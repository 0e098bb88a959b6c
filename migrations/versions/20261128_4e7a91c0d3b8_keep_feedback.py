"""Keep feedback.

REASON: what people say about a variant is kept with the wave that was served, for those who decide about the next one.
Code that is running does not know the table and goes on.
"""

import sqlalchemy as sa
from alembic import op

revision = "4e7a91c0d3b8"
down_revision = "b3d96e0f1a74"
branch_labels = None
depends_on = None

# "pre": runs before the code that needs it (adds). "post": runs once no code needs the old form (removes).
phase = "pre"


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("flag_key", sa.String(), nullable=False),
        sa.Column("variant", sa.String(), nullable=False),
        sa.Column("thumbs_up", sa.Boolean(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rollout_id", sa.String(), nullable=True),
        sa.Column("wave", sa.Integer(), nullable=True),
        sa.Column("is_erased", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
        sa.UniqueConstraint("environment", "key", name=op.f("uq_feedback_environment_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_feedback_environment_flag_key_id"), "feedback", ["environment", "flag_key", "id"])
    op.create_index(op.f("ix_feedback_at"), "feedback", ["at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_feedback_at"), "feedback")
    op.drop_index(op.f("ix_feedback_environment_flag_key_id"), "feedback")
    op.drop_table("feedback")
