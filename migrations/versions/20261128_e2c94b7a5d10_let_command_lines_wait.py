"""Let command lines wait.

REASON: a command line is let in by somebody who signs in with a browser, and waits for that. Code that is running does
not know the table and goes on.
"""

import sqlalchemy as sa
from alembic import op

revision = "e2c94b7a5d10"
down_revision = "d7b2f4a61c38"
branch_labels = None
depends_on = None

# "pre": runs before the code that needs it (adds). "post": runs once no code needs the old form (removes).
phase = "pre"


def upgrade() -> None:
    op.create_table(
        "device_login",
        sa.Column("secret_hash", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("token_name", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_device_login")),
        sa.UniqueConstraint("code", name=op.f("uq_device_login_code")),
    )


def downgrade() -> None:
    op.drop_table("device_login")
