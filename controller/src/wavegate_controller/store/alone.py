"""SQLite is for one process: what others commit, it would not hear of. A lock beside the file keeps it alone."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from wavegate_controller.domain.errors import Invalid

try:
    import fcntl
except ImportError:  # pragma: no cover - not on Windows, where nobody is kept out
    fcntl = None  # type: ignore[assignment]

_TAKEN: Final = frozenset({errno.EWOULDBLOCK, errno.EACCES})


class OnlyProcess:
    """The right to be the only process on a database; on PostgreSQL there may be any number, and nothing is done.

    The kernel gives the lock back when the process ends, however it ends; the file stays, and says nothing by itself.

    Raises:
        Invalid: another process has it; says which.
    """

    def __init__(self, engine: Engine) -> None:
        self._file: int | None = None
        if engine.dialect.name != "sqlite" or fcntl is None:
            return
        # Whatever name leads to it, the database has one lock.
        database = Path(str(engine.url.database)).resolve()
        self._file = os.open(database.with_name(f"{database.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._file, 32).decode(errors="replace").strip()
            self.close()
            if error.errno not in _TAKEN:
                raise Invalid(
                    "database_url", f"{database} cannot be locked: {error.strerror}", "a local disk"
                ) from None
            raise Invalid(
                "database_url",
                f"{database} is in use by process {holder or 'unknown'}, and SQLite is for one process",
                "a database of its own, or PostgreSQL for several processes",
            ) from None
        os.ftruncate(self._file, 0)
        os.write(self._file, str(os.getpid()).encode())

    def close(self) -> None:
        """Let another process have it."""
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
            self._file = None
