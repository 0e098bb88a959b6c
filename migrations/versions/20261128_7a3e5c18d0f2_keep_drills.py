"""Keep drills.

REASON: of two people who drill a flag at the same moment one must be refused, and a drill whose command was killed must
end all the same. Code that is running does not know the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "7a3e5c18d0f2"
down_revision = "9d2e6b7c15fa"
branch_labels = None
depends_on = None

# "pre": runs before the code that needs it (adds). "post": runs once no code needs the old form (removes).
phase = "pre"


def upgrade() -> None:
    op.create_table(
        "drill",
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("flag_key", sa.String(), nullable=False),
        sa.Column("is_over", sa.Boolean(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment", "flag_key"],
            ["flag.environment", "flag.key"],
            name=op.f("fk_drill_environment_flag_key_flag"),
        ),
        sa.PrimaryKeyConstraint("environment", "flag_key", name=op.f("pk_drill")),
    )


def downgrade() -> None:
    op.drop_table("drill")
