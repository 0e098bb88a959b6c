"""Claim rollouts.

REASON: several reconcilers share the work on one database. A rollout's row says who looks at it and in which term, so
that whoever was overtaken writes nothing; leases say who is still there.
"""

import sqlalchemy as sa
from alembic import op

revision = "5e0c7a1d42b9"
down_revision = "3b9f0c6d2a11"
branch_labels = None
depends_on = None

# "pre": runs before the code that needs it (adds). "post": runs once no code needs the old form (removes).
phase = "pre"


def upgrade() -> None:
    op.create_table(
        "lease",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("term", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_index(op.f("ix_lease_holder"), "lease", ["holder"])
    with op.batch_alter_table("rollout") as rollout:
        rollout.add_column(sa.Column("claimed_by", sa.String(), nullable=True))
        rollout.add_column(sa.Column("claim_term", sa.BigInteger(), nullable=False, server_default="0"))
        rollout.create_index(op.f("ix_rollout_claimed_by"), ["claimed_by"])


def downgrade() -> None:
    with op.batch_alter_table("rollout") as rollout:
        rollout.drop_index(op.f("ix_rollout_claimed_by"))
        rollout.drop_column("claim_term")
        rollout.drop_column("claimed_by")
    op.drop_index(op.f("ix_lease_holder"), "lease")
    op.drop_table("lease")
