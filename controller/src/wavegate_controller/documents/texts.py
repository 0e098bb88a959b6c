"""Reading YAML so that it says the same to everybody: JSON's values, each name once, no `on` that turns into true."""

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from wavegate_controller.domain.errors import Invalid

#: More nodes than any file of a person has; aliases of aliases reach it with a few lines.
_MOST_NODES: Final = 100_000


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core: what YAML 1.1 reads more into plain words (on, off, yes, dates, 1:30) stays text."""

    yaml_implicit_resolvers: Final[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}  # type: ignore[misc]
    #: What JSON has too; the None is for refusing all other tags.
    yaml_constructors: Final[dict[str | None, Any]] = {  # type: ignore[misc]
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in ("null", "bool", "int", "float", "str", "seq", "map")
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str):
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} is no name", key.start_mark)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} is given more than once", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


def read_texts(text: str) -> Iterator[Any]:
    """The documents of a YAML or JSON text; empty ones are left out.

    Raises:
        Invalid: not YAML, naming the line.
    """
    try:
        yield from _documents(_Loader(text))
    except yaml.YAMLError as error:
        raise Invalid("document", f"is not YAML: {_said(error)}", "a YAML or JSON mapping") from None
    except (RecursionError, ValueError) as error:
        raise Invalid("document", f"is not YAML: {error}", "a YAML or JSON mapping") from None


def _documents(loader: _Loader) -> Iterator[Any]:
    while loader.check_node():
        node = loader.get_node()
        assert node is not None  # noqa: S101 - just checked
        _count(node)
        document = loader.construct_document(node)
        if document is not None:
            yield document


def _count(root: yaml.Node) -> None:
    """Refuse what a few aliases blow up to more than fits anywhere."""
    waiting, counted = [root], 0
    while waiting:
        node = waiting.pop()
        counted += 1
        if counted > _MOST_NODES:
            raise yaml.composer.ComposerError(None, None, f"it has more than {_MOST_NODES} parts", root.start_mark)
        if isinstance(node, yaml.MappingNode):
            waiting.extend(part for pair in node.value for part in pair)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)


def _said(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"{problem}, in line {mark.line + 1}" if mark else str(problem)


def write_text(document: Any) -> str:
    """One document as YAML that `read_texts`, and any other reader, reads as the same."""
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    return text
