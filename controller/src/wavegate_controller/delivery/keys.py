"""SDK keys: each reads one environment. Held as hashes, so that a dump of this process shows none."""

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

_log: Final = logging.getLogger("wavegate")
_SCHEME: Final = b"bearer "


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """What a key allows: to read one environment.

    Attributes:
        key_id: names the key without being it, for limits, logs and revocation.
    """

    key_id: str
    environment: str


#: Called with the ids of the keys that no longer hold, on whatever thread revoked them. Must be quick, must not raise.
Revoked: TypeAlias = Callable[[frozenset[str]], None]


def key_in(authorization: bytes) -> bytes:
    """The key that an `Authorization` header shows; empty where it shows none."""
    return authorization[7:].strip() if authorization[:7].lower() == _SCHEME else b""


def hash_of(key: str | bytes) -> str:
    """What a key is known by here: SHA-256 in hex. Keys are long and random, so that nothing slower is needed."""
    return hashlib.sha256(key.encode() if isinstance(key, str) else key).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Signer:
    """What tells whether the holder of a key signed something for a person's browser.

    Attributes:
        grant: what the key allows.
        secret: that both sides derive from the key; stands for nothing but these signatures.
    """

    grant: Grant
    secret: bytes = field(repr=False)


class Keys:
    """The keys that hold; safe to use from several threads.

    Args:
        unkeyed: the environment that who shows no key may read; None when a key is needed.
    """

    def __init__(self, *, unkeyed: str | None = None) -> None:
        self._grants: Mapping[str, Grant] = {}
        self._tickets: Mapping[str, Grant] = {}
        self._signers: Mapping[str, Signer] = {}
        self._unkeyed = None if unkeyed is None else Grant(key_id="", environment=unkeyed)
        self._listeners: list[Revoked] = []
        self._used: set[str] = set()

    def grant(self, authorization: bytes) -> Grant | None:
        """What this `Authorization` header allows; None when it is no key of ours."""
        grant = self._shown(authorization)
        if grant is None:
            return self._unkeyed
        self._used.add(grant.key_id)
        return grant

    def used(self) -> frozenset[str]:
        """Ids of the keys that were shown since the last call."""
        used, self._used = self._used, set()
        return frozenset(used)

    def ticket(self, authorization: bytes) -> str:
        """What admits the holder of this key to notices of changes, and to nothing else; empty where none is needed.

        For browsers, whose event sources send no header: it may stand in an address, and so in logs of proxies. It
        follows from the key, so that every replica knows it, and falls with it.
        """
        if self._shown(authorization) is None:
            return ""
        return _ticket_of(hashlib.sha256(authorization[7:].strip()).hexdigest())

    def admit(self, ticket: str) -> Grant | None:
        """What this ticket is for; None when it is none of ours."""
        return self._tickets.get(ticket) or self._unkeyed

    def signer(self, mark: str) -> Signer | None:
        """Whose signature it is by the mark of their key; None when that is none of ours."""
        return self._signers.get(mark)

    def replace(self, grants: Mapping[str, Grant], *, unkeyed: str | None = None) -> None:
        """From now on these keys hold and no others; by `hash_of` the key. Who holds another is told to go."""
        before = self._by_id()
        self._grants = dict(grants)
        self._tickets = {_ticket_of(key_hash): grant for key_hash, grant in grants.items()}
        self._signers = {
            _derived("marks feedback tokens of ", key_hash).hex()[:16]: Signer(
                grant=grant, secret=_derived("signs feedback tokens, for ", key_hash)
            )
            for key_hash, grant in grants.items()
        }
        self._unkeyed = None if unkeyed is None else Grant(key_id="", environment=unkeyed)
        after = self._by_id()
        gone = frozenset(key_id for key_id, grant in before.items() if after.get(key_id) != grant)
        if gone:
            _log.info("action=sdk_keys_revoked keys=%d", len(gone))
            for listener in list(self._listeners):
                listener(gone)

    def listen(self, callback: Revoked) -> None:
        """Tell of keys that were revoked, or moved to another environment."""
        self._listeners.append(callback)

    def _shown(self, authorization: bytes) -> Grant | None:
        if authorization[:7].lower() != _SCHEME:
            return None
        # Looked up by its hash: how long that takes tells nothing about any other key.
        return self._grants.get(hashlib.sha256(authorization[7:].strip()).hexdigest())

    def _by_id(self) -> dict[str, Grant]:
        grants = [*self._grants.values(), *([self._unkeyed] if self._unkeyed else [])]
        return {grant.key_id: grant for grant in grants}


def _ticket_of(key_hash: str) -> str:
    return _derived("notices of changes, for ", key_hash).hex()


def _derived(purpose: str, key_hash: str) -> bytes:
    return hashlib.sha256(f"{purpose}{key_hash}".encode()).digest()
