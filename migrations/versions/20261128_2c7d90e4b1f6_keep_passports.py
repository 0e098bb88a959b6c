"""Keep passports.

REASON: a feature goes through its stages, and where it stands is kept beside its flag. Flags that were there before
stages were kept are in scale, by a decision that says so: nothing that is served changes. Code that is running does not
know the table and goes on.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "2c7d90e4b1f6"
down_revision = "e2c94b7a5d10"
branch_labels = None
depends_on = None

# "pre": runs before the code that needs it (adds). "post": runs once no code needs the old form (removes).
phase = "pre"


def upgrade() -> None:
    passport = op.create_table(
        "passport",
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("flag_key", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment", "flag_key"],
            ["flag.environment", "flag.key"],
            name=op.f("fk_passport_environment_flag_key_flag"),
        ),
        sa.PrimaryKeyConstraint("environment", "flag_key", name=op.f("pk_passport")),
    )
    now = datetime.now(UTC).isoformat()  # noqa: TID251 - the moment that the decision tells of
    flags = op.get_bind().execute(sa.text("SELECT environment, key FROM flag")).all()
    if flags:
        op.bulk_insert(passport, [_grown(environment, key, now) for environment, key in flags])


def downgrade() -> None:
    op.drop_table("passport")


def _grown(environment: str, key: str, now: str) -> dict[str, object]:
    decision = {
        "stage": "discovery",
        "outcome": "override",
        "to": "scale",
        "by": "wavegate",
        "at": now,
        "reason": "the flag was there before stages were kept",
        "missing": [],
    }
    document = {
        "flag": key,
        "environment": environment,
        "stage": "scale",
        "since": now,
        "has_ended": False,
        "discovery": {},
        "proof_of_concept": {},
        "pilot": {},
        "production_ready": {},
        "decisions": [decision],
        "created_at": now,
        "updated_at": now,
        "version": 1,
    }
    return {"environment": environment, "flag_key": key, "stage": "scale", "document": document, "version": 1}
