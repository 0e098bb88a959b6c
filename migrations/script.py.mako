"""${message}.

REASON: why the change is needed, and why code that is already running works before and after it.
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}

# "pre": runs before the code that needs it (adds). "post": runs once no code needs the old form (removes).
phase = "pre or post?"


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
