"""Versions as Semantic Versioning 2.0.0 reads and orders them, strictly."""

import re
from functools import lru_cache
from typing import Final, TypeAlias

#: Orders as versions do: numbers, then whether it is a release, then its pre-release identifiers.
Version: TypeAlias = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]

#: Longer ones are no versions: reading digits takes quadratic time.
LONGEST: Final = 256
_IDENTIFIER: Final = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION: Final = re.compile(
    rf"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)


# An app has a few versions in the field at a time, each of them asked for many times.
@lru_cache(maxsize=1024)
def read_version(text: str) -> Version | None:
    """The version, without its build metadata, which do not order; None if it is none."""
    found = _VERSION.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        return None
    major, minor, patch, pre_release = found.groups()
    identifiers = pre_release.split(".") if pre_release else ()
    return int(major), int(minor), int(patch), not identifiers, tuple(map(_ordered, identifiers))


def _ordered(identifier: str) -> tuple[bool, int, str]:
    # Numbers come before words, numbers order as numbers, words as ASCII.
    return (False, int(identifier), "") if identifier.isdigit() else (True, 0, identifier)
