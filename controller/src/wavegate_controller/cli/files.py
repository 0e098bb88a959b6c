"""Reading configuration from files, and naming the file in whatever is wrong with it."""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from wavegate_controller.cli.failure import Misused
from wavegate_controller.documents.configuration import read_object
from wavegate_controller.documents.texts import read_texts
from wavegate_controller.domain.errors import Invalid

_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
_LARGEST: Final = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where a document stands."""

    file: str
    number: int

    def __str__(self) -> str:
        return f"{self.file}, document {self.number}"


def read_objects(paths: Sequence[str]) -> tuple[list[dict[str, Any]], list[Source]]:
    """The documents of files, of directories with all beneath them, or of stdin (`-`), and where each stands.

    Raises:
        Misused: naming the file, the document in it, and the field.
    """
    documents: list[dict[str, Any]] = []
    sources: list[Source] = []
    for file, text in _texts(paths):
        try:
            found = list(read_texts(text))
        except Invalid as refusal:
            raise Misused(f"{file}: {refusal}") from None
        for number, document in enumerate(found, 1):
            source = Source(file=file, number=number)
            try:
                read_object(document)
            except Invalid as refusal:
                raise Misused(f"{source}: {refusal}") from None
            documents.append(document)
            sources.append(source)
    if not documents:
        raise Misused(f"{', '.join(paths)}: there is no document in it; files end in {', '.join(sorted(_SUFFIXES))}")
    return documents, sources


def located(message: str, sources: Sequence[Source]) -> str:
    """A controller's sentence about `documents[3]` as one about the file that it stands in."""

    def place(match: re.Match[str]) -> str:
        number = int(match[1])
        return f"{sources[number]}:{' ' if match[2] else ''}" if number < len(sources) else match[0]

    return re.sub(r"documents\[(\d+)\](\.)?", place, message)


def _texts(paths: Sequence[str]) -> Iterator[tuple[str, str]]:
    for path in paths:
        if path == "-":
            yield "stdin", sys.stdin.read()
            continue
        for file in _files(Path(path)):
            try:
                if file.stat().st_size > _LARGEST:
                    raise Misused(f"{file} has more than {_LARGEST} bytes")
                yield str(file), file.read_text(encoding="utf-8")
            except OSError as error:
                raise Misused(f"{file} cannot be read: {error.strerror}") from None
            except UnicodeDecodeError as error:
                raise Misused(f"{file} is not UTF-8 text: {error}") from None


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if file.is_file() and file.suffix in _SUFFIXES and not hidden:
            yield file
