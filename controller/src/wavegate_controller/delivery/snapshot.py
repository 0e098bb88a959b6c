"""The ruleset in force, rendered once for all connections."""

from collections.abc import Mapping
from dataclasses import dataclass

from wavegate.evaluation import ruleset_from_json
from wavegate_controller.domain.publication import PublishedRuleset


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """One revision, ready to be sent."""

    revision: int
    body: bytes
    etag: bytes
    headers: tuple[tuple[bytes, bytes], ...]


class Snapshot:
    """Fulfils `ports.RulesetSink`: the newest revision, swapped in one assignment.

    Transactions commit in the order of their revisions, but their threads may arrive here in another: a revision that
    is not newer is ignored.
    """

    def __init__(self) -> None:
        self._current: Rendered | None = None
        self._variants: tuple[int, Mapping[str, frozenset[str]]] = (0, {})

    @property
    def current(self) -> Rendered | None:
        """What is served; None before the first publication."""
        return self._current

    def variants(self) -> Mapping[str, frozenset[str]]:
        """Flag key to the variants of the ruleset in force; read from it when it is first asked for."""
        current, (revision, variants) = self._current, self._variants
        if current is not None and revision != current.revision:
            flags = ruleset_from_json(current.body).flags.values()
            variants = {flag.key: frozenset(flag.variants) for flag in flags}
            self._variants = (current.revision, variants)
        return variants

    def publish(self, ruleset: PublishedRuleset) -> None:
        """Serve this revision from now on."""
        if self._current is not None and ruleset.revision <= self._current.revision:
            return
        etag = b'"' + ruleset.etag.encode() + b'"'
        self._current = Rendered(
            revision=ruleset.revision,
            body=ruleset.body,
            etag=etag,
            headers=(
                (b"etag", etag),
                (b"cache-control", b"no-cache"),
                (b"wavegate-revision", str(ruleset.revision).encode()),
            ),
        )
