"""The tables as the newest migration leaves them; a test compares the two."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)


class UTCDateTime(TypeDecorator[datetime]):
    """Aware UTC in, aware UTC out, to the microsecond, whatever the database keeps.

    SQLite keeps text of fixed width without a zone, PostgreSQL a timestamptz; both order and compare as time does.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To UTC; a naive datetime is a mistake of ours and never reaches the database."""
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError(f"{value!r} has no time zone; only aware times are stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """SQLite gives the UTC time without its zone, PostgreSQL gives it in the zone of the session."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# On SQLite only an INTEGER primary key counts up by itself.
_RowId: Final = BigInteger().with_variant(Integer(), "sqlite")

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    }
)

environment: Final = Table(
    "environment",
    metadata,
    Column("name", String, primary_key=True),
    Column("description", String, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("dry_run", Boolean, nullable=False, server_default=false()),
)

# PostgreSQL keeps the word "user" for itself.
account: Final = Table(
    "account",
    metadata,
    Column("name", String, primary_key=True),
    Column("roles", JSON, nullable=False),
    Column("password_hash", String),
    Column("subject", String, unique=True),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("created_by", String, nullable=False),
    Column("version", Integer, nullable=False),
)

browser_session: Final = Table(
    "browser_session",
    metadata,
    Column("secret_hash", String, primary_key=True),
    Column("account", String, ForeignKey("account.name"), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    Index(None, "account"),
)

login_link: Final = Table(
    "login_link",
    metadata,
    Column("account", String, ForeignKey("account.name"), primary_key=True),
    Column("secret_hash", String, nullable=False, unique=True),
    Column("expires_at", UTCDateTime, nullable=False),
)

device_login: Final = Table(
    "device_login",
    metadata,
    Column("secret_hash", String, primary_key=True),
    Column("code", String, nullable=False, unique=True),
    Column("token_name", String, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    Column("approved_by", String),
)

login_failure: Final = Table(
    "login_failure",
    metadata,
    Column("key", String, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last_at", UTCDateTime, nullable=False),
    Index(None, "last_at"),
)

credential: Final = Table(
    "credential",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("secret_hash", String, nullable=False, unique=True),
    Column("hint", String, nullable=False),
    Column("roles", JSON, nullable=False),
    Column("environment", String),
    Column("owner", String, ForeignKey("account.name")),
    Column("created_at", UTCDateTime, nullable=False),
    Column("created_by", String, nullable=False),
    Column("expires_at", UTCDateTime),
    Column("last_used_at", UTCDateTime),
    Column("revoked_at", UTCDateTime),
    Index(None, "kind", "name"),
)

flag: Final = Table(
    "flag",
    metadata,
    Column("environment", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("description", String, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("variants", JSON, nullable=False),
    Column("default_variant", String, nullable=False),
    Column("salt", String),
    Column("bucket_by", String),
    Column("generation", String, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    # Beside the rest of the targeting, since each look at a rollout asks which flags have some.
    Column("prerequisites", JSON(none_as_null=True)),
    Column("targeting", JSON(none_as_null=True)),
    Column("stopped", JSON(none_as_null=True)),
    Column("archived_at", UTCDateTime),
)

segment: Final = Table(
    "segment",
    metadata,
    Column("environment", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("description", String, nullable=False),
    Column("condition", JSON, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
    Column("version", Integer, nullable=False),
)

plan_template: Final = Table(
    "plan_template",
    metadata,
    Column("environment", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("description", String, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("created_by", String, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
)

calendar: Final = Table(
    "calendar",
    metadata,
    Column("environment", String, primary_key=True),
    Column("freeze_windows", JSON, nullable=False),
    Column("updated_by", String, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
    Column("version", Integer, nullable=False),
)

rollout: Final = Table(
    "rollout",
    metadata,
    Column("id", String, primary_key=True),
    Column("environment", String, nullable=False),
    Column("flag_key", String, nullable=False),
    Column("stable", String, nullable=False),
    Column("candidate", String, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("created_by", String, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
    Column("state", String, nullable=False),
    Column("pause_reason", String),
    Column("wave", Integer),
    Column("started_at", UTCDateTime),
    Column("wave_since", UTCDateTime),
    Column("evidence_since", UTCDateTime),
    Column("next_look_at", UTCDateTime),
    Column("version", Integer, nullable=False),
    # Whoever looks at it now, and how often it was claimed. No part of the rollout: a save leaves them as they are.
    Column("claimed_by", String),
    Column("claim_term", BigInteger, nullable=False, server_default="0"),
    Column("approvals", JSON, nullable=False),
    Column("pin", JSON(none_as_null=True)),
    Column("final_bake_since", UTCDateTime),
    Column("unwatched", Float, nullable=False),
    Column("template", String),
    ForeignKeyConstraint(["environment", "flag_key"], ["flag.environment", "flag.key"]),
    Index(None, "environment", "flag_key"),
    Index(None, "next_look_at"),
    Index(None, "claimed_by"),
)

measurement: Final = Table(
    "measurement",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("rollout_id", String, ForeignKey("rollout.id"), nullable=False),
    Column("gate", String, nullable=False),
    Column("at", UTCDateTime, nullable=False),
    Column("kind", String, nullable=False),
    Column("payload", JSON, nullable=False),
    Index(None, "rollout_id", "at"),
)

counter_cursor: Final = Table(
    "counter_cursor",
    metadata,
    Column("rollout_id", String, ForeignKey("rollout.id"), primary_key=True),
    Column("read_at", UTCDateTime, nullable=False),
    Column("last", LargeBinary, nullable=False),
)

decision: Final = Table(
    "decision",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("rollout_id", String, ForeignKey("rollout.id"), nullable=False),
    Column("at", UTCDateTime, nullable=False),
    Column("actor", String, nullable=False),
    Column("event", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("sentence", String, nullable=False),
    Column("comment", String, nullable=False),
    Column("state_before", String, nullable=False),
    Column("state", String, nullable=False),
    Column("wave", Integer),
    Column("weight", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("verdicts", JSON, nullable=False),
    Column("wave_before", Integer),
    Column("wave_since", UTCDateTime),
    Column("evidence_since", UTCDateTime),
    Column("pause_reason_before", String),
    Column("circumstances", JSON(none_as_null=True)),
    Column("review", JSON(none_as_null=True)),
    Index(None, "rollout_id", "id"),
    # Pages go by id, so a number that was once given is never given again.
    sqlite_autoincrement=True,
)

ruleset: Final = Table(
    "ruleset",
    metadata,
    Column("environment", String, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
    Column("etag", String, nullable=False),
    Column("published_at", UTCDateTime, nullable=False),
)

# Times and documents are text, exactly as they were hashed: a database that rewrote them would break the chain.
audit: Final = Table(
    "audit",
    metadata,
    Column("sequence", _RowId, primary_key=True, autoincrement=False),
    Column("at", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("actor_kind", String, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("environment", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("evidence", Text),
    Column("previous", String, nullable=False),
    Column("hash", String, nullable=False),
    Index(None, "subject", "sequence"),
    Index(None, "actor", "sequence"),
    Index(None, "at"),
)

audit_head: Final = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", String, nullable=False),
)

receipt: Final = Table(
    "receipt",
    metadata,
    Column("sender", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("fingerprint", String, nullable=False),
    Column("holder", String, nullable=False),
    Column("claimed_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    Column("progress", String, nullable=False),
    Column("status", Integer),
    Column("headers", JSON),
    Column("body", LargeBinary),
    Index(None, "expires_at"),
)

lease: Final = Table(
    "lease",
    metadata,
    Column("name", String, primary_key=True),
    Column("holder", String, nullable=False),
    Column("term", BigInteger, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    Index(None, "holder"),
)

alert: Final = Table(
    "alert",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("fingerprint", String, nullable=False),
    Column("starts_at", UTCDateTime, nullable=False),
    Column("is_firing", Boolean, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("summary", String, nullable=False),
    Column("received_at", UTCDateTime, nullable=False),
    Column("environment", String, nullable=False),
    Column("flag", String, nullable=False),
    Column("action", String),
    Column("outcome", String, nullable=False),
    Column("detail", String, nullable=False),
    UniqueConstraint("fingerprint", "starts_at", "is_firing"),
    Index(None, "environment", "id"),
    sqlite_autoincrement=True,
)

channel: Final = Table(
    "channel",
    metadata,
    Column("name", String, primary_key=True),
    Column("environment", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("url", String, nullable=False),
    Column("secret", String),
    Column("shown", String, nullable=False),
    Column("actions", JSON, nullable=False),
    Column("least", String, nullable=False),
    Column("created_by", String, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
)

outbox: Final = Table(
    "outbox",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("message_id", String, nullable=False),
    # No reference: what was delivered to a channel outlives it.
    Column("channel", String, nullable=False),
    Column("environment", String, nullable=False),
    Column("line", String, nullable=False),
    Column("message", JSON, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("next_attempt_at", UTCDateTime, nullable=False),
    Column("claimed_until", UTCDateTime),
    Column("delivered_at", UTCDateTime),
    Column("error", String, nullable=False),
    Index(None, "state", "next_attempt_at"),
    Index(None, "channel", "line", "id"),
    sqlite_autoincrement=True,
)

# Each is read and written as a whole; beside it stands what is asked about all of them.
passport: Final = Table(
    "passport",
    metadata,
    Column("environment", String, primary_key=True),
    Column("flag_key", String, primary_key=True),
    Column("stage", String, nullable=False),
    Column("document", JSON, nullable=False),
    Column("version", Integer, nullable=False),
    ForeignKeyConstraint(["environment", "flag_key"], ["flag.environment", "flag.key"]),
)

# No reference to flag or rollout: what was said is pruned by its age alone.
feedback: Final = Table(
    "feedback",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("environment", String, nullable=False),
    Column("key", String, nullable=False),
    Column("flag_key", String, nullable=False),
    Column("variant", String, nullable=False),
    Column("thumbs_up", Boolean, nullable=False),
    Column("comment", Text, nullable=False),
    Column("source", String, nullable=False),
    Column("at", UTCDateTime, nullable=False),
    Column("rollout_id", String),
    Column("wave", Integer),
    Column("is_erased", Boolean, nullable=False),
    UniqueConstraint("environment", "key"),
    Index(None, "environment", "flag_key", "id"),
    Index(None, "at"),
    sqlite_autoincrement=True,
)

# The newest drill of each flag, so there is one at a time.
drill: Final = Table(
    "drill",
    metadata,
    Column("environment", String, primary_key=True),
    Column("flag_key", String, primary_key=True),
    Column("is_over", Boolean, nullable=False),
    Column("document", JSON, nullable=False),
    Column("version", Integer, nullable=False),
    ForeignKeyConstraint(["environment", "flag_key"], ["flag.environment", "flag.key"]),
)

applied: Final = Table(
    "applied",
    metadata,
    Column("kind", String, primary_key=True),
    Column("environment", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("collection", String, nullable=False),
    Column("document", JSON, nullable=False),
    Column("applied_at", UTCDateTime, nullable=False),
    Column("applied_by", String, nullable=False),
    Index(None, "collection"),
)

word: Final = Table(
    "word",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("process", String, nullable=False),
    Column("environment", String, nullable=False),
    Column("document", JSON, nullable=False),
    Column("said_at", UTCDateTime, nullable=False),
    sqlite_autoincrement=True,
)
