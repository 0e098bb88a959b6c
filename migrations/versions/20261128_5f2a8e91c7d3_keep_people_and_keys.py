"""Keep people and keys.

REASON: accounts with roles, the sessions of browsers, links that let in once, failed attempts to sign in, API tokens
and SDK keys. Nothing that runs already looks at them.
"""

import sqlalchemy as sa
from alembic import op

revision = "5f2a8e91c7d3"
down_revision = "c5e81f3b7a02"
branch_labels = None
depends_on = None

# "pre": runs before the code that needs it (adds). "post": runs once no code needs the old form (removes).
phase = "pre"


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_account")),
        sa.UniqueConstraint("subject", name=op.f("uq_account_subject")),
    )
    op.create_table(
        "browser_session",
        sa.Column("secret_hash", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_browser_session")),
        sa.ForeignKeyConstraint(["account"], ["account.name"], name=op.f("fk_browser_session_account_account")),
    )
    op.create_index(op.f("ix_browser_session_account"), "browser_session", ["account"])
    op.create_table(
        "login_link",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("secret_hash", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_login_link")),
        sa.ForeignKeyConstraint(["account"], ["account.name"], name=op.f("fk_login_link_account_account")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_login_link_secret_hash")),
    )
    op.create_table(
        "login_failure",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_login_failure")),
    )
    op.create_index(op.f("ix_login_failure_last_at"), "login_failure", ["last_at"])
    op.create_table(
        "credential",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("secret_hash", sa.String(), nullable=False),
        sa.Column("hint", sa.String(), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("environment", sa.String(), nullable=True),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential")),
        sa.ForeignKeyConstraint(["owner"], ["account.name"], name=op.f("fk_credential_owner_account")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_credential_secret_hash")),
    )
    op.create_index(op.f("ix_credential_kind_name"), "credential", ["kind", "name"])


def downgrade() -> None:
    for table in ("credential", "login_failure", "login_link", "browser_session", "account"):
        op.drop_table(table)
