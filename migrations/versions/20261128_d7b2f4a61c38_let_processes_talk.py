"""Let processes talk.

REASON: processes that serve one environment tell each other which clients they hear, so that each can say to how many a
revision was delivered. Code that is running does not know the table and goes on.
"""

import sqlalchemy as sa
from alembic import op

revision = "d7b2f4a61c38"
down_revision = "5f2a8e91c7d3"
branch_labels = None
depends_on = None

# "pre": runs before the code that needs it (adds). "post": runs once no code needs the old form (removes).
phase = "pre"


def upgrade() -> None:
    op.create_table(
        "word",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("process", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_word")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("word")
