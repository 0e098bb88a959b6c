"""Secrets at rest: what has to be read again stands in the database only under a key that does not.

The only module that knows how. A sealed text names its form, so that what older versions wrote in the clear is told
apart; it is sealed when a process starts that has a key.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Engine

from wavegate_controller.domain.errors import Invalid

_SEALED: Final = "sealed:1:"
_SETTING: Final = "encryption_keys"
_EXPECTED: Final = "a key made by `wavegate db new-key`, the same for every process on this database"


class Unreadable(Exception):
    """A text that was sealed with a key that is not here; `str()` says what to do."""


class Vault:
    """Seals and opens.

    Args:
        keys: the first seals, all open.
        file: holds the key where none is given, and is made with the first secret; None for none.

    Raises:
        Invalid: a key is none.
    """

    def __init__(self, keys: Sequence[str] = (), *, file: Path | None = None) -> None:
        self._file = None if keys else file
        self._keys = [_read(key, f"{_SETTING}[{index}]") for index, key in enumerate(keys)]

    @property
    def has_key(self) -> bool:
        """Whether something can be sealed."""
        return bool(self._keys or self._file)

    def seal(self, text: str) -> str:
        """As it may stand in the database.

        Raises:
            Invalid: there is no key.
        """
        keys = self._known(make=True)
        if not keys:
            raise Invalid(_SETTING, "are not set, and a secret is not kept in the clear", _EXPECTED)
        return _SEALED + keys[0].encrypt(text.encode()).decode()

    def open(self, text: str) -> str:
        """What was sealed; a text in the clear is itself.

        Raises:
            Unreadable: by none of our keys.
        """
        if not text.startswith(_SEALED):
            return text
        for key in self._known():
            try:
                return key.decrypt(text.removeprefix(_SEALED)).decode()
            except InvalidToken:
                continue
        source = f"add the key to {_SETTING}" if self._file is None else f"bring back {self._file}, or {_SETTING}"
        raise Unreadable(f"it is sealed with a key that this process does not have: {source}, or make the channel anew")

    def is_fresh(self, text: str) -> bool:
        """Whether it is sealed with the first key."""
        keys = self._known()
        try:
            return bool(keys and text.startswith(_SEALED) and keys[0].decrypt(text.removeprefix(_SEALED)))
        except InvalidToken:
            return False

    def _known(self, *, make: bool = False) -> list[Fernet]:
        if not self._keys and self._file is not None and (make or self._file.exists()):
            self._keys = [_read(_from_file(self._file), str(self._file))]
        return self._keys


def vault_of(engine: Engine, keys: Sequence[str] = ()) -> Vault:
    """That of a database: on SQLite the key is a file beside it, where none is given.

    Raises:
        Invalid: a key is none.
    """
    path = engine.url.database if engine.dialect.name == "sqlite" else None
    return Vault(keys, file=Path(f"{path}.key") if path and path != ":memory:" else None)


def new_key() -> str:
    """For `encryption_keys`."""
    return Fernet.generate_key().decode()


def _from_file(file: Path) -> str:
    """The key in the file, which is made if it is not there; for nobody else's eyes."""
    try:
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return file.read_text(encoding="ascii").strip()
        key = new_key()
        with os.fdopen(handle, "w", encoding="ascii") as written:
            written.write(f"{key}\n")
            written.flush()
            os.fsync(written.fileno())
    except (OSError, ValueError) as error:
        raise Invalid(_SETTING, f"are not set, and {file} cannot be used: {error}", _EXPECTED) from None
    return key


def _read(key: str, name: str) -> Fernet:
    try:
        return Fernet(key.strip())
    except ValueError:
        # The key itself stays out of the message: messages end up in logs.
        raise Invalid(name, "is no key", _EXPECTED) from None
