"""Keep environments.

REASON: one controller serves several environments. Those that flags and rulesets speak of become rows, as old as their
oldest flag or ruleset.
"""

import sqlalchemy as sa
from alembic import op

revision = "3b9f0c6d2a11"
down_revision = "9a4d7c15e260"
branch_labels = None
depends_on = None

# "pre": runs before the code that needs it (adds). "post": runs once no code needs the old form (removes).
phase = "pre"


def upgrade() -> None:
    op.create_table(
        "environment",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_environment")),
    )
    op.execute(
        "INSERT INTO environment (name, description, created_at) "
        "SELECT environment, '', min(since) FROM ("
        "SELECT environment, created_at AS since FROM flag "
        "UNION ALL SELECT environment, published_at AS since FROM ruleset"
        ") AS spoken_of GROUP BY environment"
    )


def downgrade() -> None:
    op.drop_table("environment")
