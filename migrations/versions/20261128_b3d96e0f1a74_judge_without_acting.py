"""Judge without acting.

REASON: an environment may be in dry run, so that its rollouts are only judged. Code that is running does not know the
column, and moves them as before.
"""

import sqlalchemy as sa
from alembic import op

revision = "b3d96e0f1a74"
down_revision = "2c7d90e4b1f6"
branch_labels = None
depends_on = None

# "pre": runs before the code that needs it (adds). "post": runs once no code needs the old form (removes).
phase = "pre"


def upgrade() -> None:
    with op.batch_alter_table("environment") as environment:
        environment.add_column(sa.Column("dry_run", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    with op.batch_alter_table("environment") as environment:
        environment.drop_column("dry_run")
