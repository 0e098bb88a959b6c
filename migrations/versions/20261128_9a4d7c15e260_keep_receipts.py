"""Keep receipts.

REASON: a POST that is sent again under the same Idempotency-Key must not be carried out again, so what was asked under
which key is kept for a day with what came of it. Code that is running does not know the table and goes on.
"""

import sqlalchemy as sa
from alembic import op

revision = "9a4d7c15e260"
down_revision = "3b8c52e7a9d0"
branch_labels = None
depends_on = None

# "pre": runs before the code that needs it (adds). "post": runs once no code needs the old form (removes).
phase = "pre"


def upgrade() -> None:
    op.create_table(
        "receipt",
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("progress", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("sender", "key", name=op.f("pk_receipt")),
    )
    op.create_index(op.f("ix_receipt_expires_at"), "receipt", ["expires_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_receipt_expires_at"), "receipt")
    op.drop_table("receipt")
