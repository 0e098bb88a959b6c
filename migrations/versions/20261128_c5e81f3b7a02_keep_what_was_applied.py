"""Keep what was applied.

REASON: what was applied last from files is what tells a wish from a change by hand, so it is kept for each object. Code
that is running does not know the table and goes on.
"""

import sqlalchemy as sa
from alembic import op

revision = "c5e81f3b7a02"
down_revision = "c81a5f0e3d74"
branch_labels = None
depends_on = None

# "pre": runs before the code that needs it (adds). "post": runs once no code needs the old form (removes).
phase = "pre"


def upgrade() -> None:
    op.create_table(
        "applied",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("collection", sa.String(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "environment", "name", name=op.f("pk_applied")),
    )
    op.create_index(op.f("ix_applied_collection"), "applied", ["collection"])


def downgrade() -> None:
    op.drop_index(op.f("ix_applied_collection"), "applied")
    op.drop_table("applied")
