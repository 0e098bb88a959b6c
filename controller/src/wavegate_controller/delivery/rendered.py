"""One revision as it goes over the wire, rendered once for all connections."""

import gzip
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Self

import zstandard

from wavegate_controller.domain.publication import PublishedRuleset

Header = tuple[bytes, bytes]

#: Smaller bodies gain nothing.
_LEAST: Final = 512
_VARY: Final = (b"vary", b"accept-encoding, authorization")
_NO_CACHE: Final = (b"cache-control", b"no-cache")
_JSON: Final = (b"content-type", b"application/json")
_ROLLBACK: Final = (b"wavegate-allow-revision-rollback", b"1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """The ruleset in one content coding, which has a validator of its own."""

    body: bytes
    headers: list[Header]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """One revision, ready to be sent.

    Attributes:
        id: revision and hash; no two documents ever share one.
        event: the whole ruleset as a server-sent event.
        etags: of all codings; whoever has one of them has this revision.
        compressed: by the name of the coding, the best first; empty until `compress` ran, which takes a while.
    """

    id: str
    revision: int
    body: bytes
    event: bytes
    etags: frozenset[bytes]
    plain: Variant
    compressed: dict[bytes, Variant]
    unchanged: list[Header]

    @classmethod
    def of(cls, ruleset: PublishedRuleset, *, rollback_allowed: bool = False) -> Self:
        """Ready but for its compressed forms."""
        plain = _etag(ruleset)
        common = [
            (b"etag", plain),
            _NO_CACHE,
            _VARY,
            (b"wavegate-environment", ruleset.environment.encode()),
            (b"wavegate-revision", str(ruleset.revision).encode()),
            *([_ROLLBACK] if rollback_allowed else []),
        ]
        event_id = f"{ruleset.revision}-{ruleset.etag}"
        return cls(
            id=event_id,
            revision=ruleset.revision,
            body=ruleset.body,
            event=event("ruleset", ruleset.body, event_id),
            etags=frozenset({plain, *(_etag(ruleset, coding) for coding in (b"zstd", b"gzip"))}),
            plain=Variant(body=ruleset.body, headers=[*common, _JSON, _length(ruleset.body)]),
            compressed={},
            unchanged=common,
        )

    def compress(self) -> Self:
        """The same with its compressed forms."""
        if len(self.body) < _LEAST:
            return self
        bodies = {b"zstd": zstandard.compress(self.body, 9), b"gzip": gzip.compress(self.body, 6, mtime=0)}
        return replace(self, compressed={coding: self._coded(coding, body) for coding, body in bodies.items()})

    def variant(self, accept_encoding: bytes) -> Variant:
        """The smallest form that a client takes."""
        if accept_encoding and self.compressed:
            accepted = _codings(accept_encoding)
            for coding, variant in self.compressed.items():
                if coding in accepted:
                    return variant
        return self.plain

    def _coded(self, coding: bytes, body: bytes) -> Variant:
        etag = self.plain.headers[0][1][:-1] + b"-" + coding + b'"'
        headers = [(b"etag", etag), *self.unchanged[1:], _JSON, _length(body), (b"content-encoding", coding)]
        return Variant(body=body, headers=headers)


def event(name: str, data: bytes, event_id: str) -> bytes:
    """A server-sent event; the data are one line, as canonical JSON is."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (event_id.encode(), name.encode(), data)


def _etag(ruleset: PublishedRuleset, coding: bytes = b"") -> bytes:
    return b'"' + ruleset.etag.encode() + (b"-" + coding if coding else b"") + b'"'


def _length(body: bytes) -> Header:
    return b"content-length", str(len(body)).encode()


@lru_cache(maxsize=256)
def _codings(accept_encoding: bytes) -> frozenset[bytes]:
    """Those that a client accepts; few clients say it in many ways."""
    accepted = set()
    for part in accept_encoding.lower().split(b","):
        coding, _, parameters = part.partition(b";")
        if parameters.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000"):
            accepted.add(coding.strip())
    return frozenset(accepted)
