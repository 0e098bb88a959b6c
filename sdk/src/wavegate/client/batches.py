"""Counts as documents to post: what was counted since the last one, numbered so that none counts twice."""

import json
import uuid
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from wavegate.client.counters import Arm, Counters

SCHEMA: Final = 1
#: A document stops growing here; what is left goes into the next.
_LARGEST: Final = 250_000

#: How far each cell is told, by what it counts.
Told: TypeAlias = dict[tuple[Any, ...], float]


class Batches:
    """One document after the other. Each is offered until it is settled, and until then always the same.

    Use it from one thread at a time. Format: docs/counts.md.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._pending: bytes | None = None
        self._told: Told = {}
        self._start()

    def pending(self) -> bytes | None:
        """The document to post now; None when there is nothing to tell."""
        if self._pending is None:
            self._pending = self._next()
        return self._pending

    def settle(self) -> None:
        """The document has arrived, or will never be wanted."""
        self._pending = None

    def after_fork(self) -> None:
        """In a forked child: another instance, whose counters begin at 0. What is pending is the parent's to post."""
        self._start()

    def _start(self) -> None:
        self._instance = uuid.uuid4().hex
        self._sequence = 0
        self._told = {}
        self._pending = None

    def _next(self) -> bytes | None:
        parts: dict[str, list[str]] = {"evaluations": [], "arms": [], "comments": []}
        size = 0
        self._counters.state()
        for part, text, counted in self._entries():
            size += len(text)
            parts[part].append(text)
            self._told.update(counted)
            if size > _LARGEST:
                break
        if not size:
            return None
        self._sequence += 1
        lists = ",".join(f'"{part}":[{",".join(texts)}]' for part, texts in parts.items())
        return f'{{"schema":{SCHEMA},"instance":"{self._instance}","sequence":{self._sequence},{lists}}}'.encode()

    def _entries(self) -> Iterator[tuple[str, str, Told]]:
        for key, cell in self._counters.all_evaluations():
            count, before = cell[0], self._told.get(key)
            if count != before:
                flag, variant, reason = key
                entry = {"flag": flag, "variant": variant, "reason": reason, "count": count - (before or 0)}
                yield "evaluations", json.dumps(entry), {key: count}
        for arm in self._counters.all_arms():
            entry, counted = self._arm(arm)
            if entry or (arm.flag, arm.variant) not in self._told:
                entry = {"flag": arm.flag, "variant": arm.variant, **entry}
                yield "arms", json.dumps(entry), {(arm.flag, arm.variant): 0, **counted}
        comments = self._counters.comments
        while comments:
            said = comments.popleft()
            entry = {
                "flag": said.flag,
                "variant": said.variant,
                "thumbs_up": said.thumbs_up,
                "comment": said.comment,
            }
            yield "comments", json.dumps(entry), {}

    def _arm(self, arm: Arm) -> tuple[dict[str, Any], Told]:
        """What is new in an arm, without what is 0 throughout, and how far that is told."""
        counted: Told = {}

        def more(*name: Any, cells: list[int] | list[float]) -> list[float] | None:
            keys = [(arm.flag, arm.variant, *name, place) for place in range(len(cells))]
            now = list(cells)
            differences = [count - self._told.get(key, 0) for key, count in zip(keys, now, strict=True)]
            if not any(differences):
                return None
            counted.update(zip(keys, now, strict=True))
            return differences

        # The bad before all, so that no document tells of more bad than there were requests.
        entry: dict[str, Any] = {
            "bad": {str(kind): new for kind, cells in arm.bad.items() if (new := more("bad", kind, cells=cells))},
            "values": {
                str(kind): new for kind, amounts in arm.values.items() if (new := more("value", kind, cells=amounts))
            },
            "requests": more("requests", cells=arm.requests),
            "duration_buckets": more("buckets", cells=arm.buckets),
        }
        for name, cells in (("duration_sum", arm.seconds), ("exposed_users", arm.exposed)):
            entry[name] = next(iter(more(name, cells=cells) or ()), None)
        return {name: new for name, new in entry.items() if new}, counted
