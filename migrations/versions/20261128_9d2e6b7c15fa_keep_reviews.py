"""Keep reviews.

REASON: who decides about the next wave signs what they had before them, and it is kept with their decision. Code that
is running does not know the column and leaves it empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "9d2e6b7c15fa"
down_revision = "4e7a91c0d3b8"
branch_labels = None
depends_on = None

# "pre": runs before the code that needs it (adds). "post": runs once no code needs the old form (removes).
phase = "pre"


def upgrade() -> None:
    op.add_column("decision", sa.Column("review", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("decision") as decision:
        decision.drop_column("review")
