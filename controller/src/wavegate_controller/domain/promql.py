"""PromQL out of templates: values are filled in escaped, and nothing else is ever put into a query."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from wavegate_controller.domain.errors import Invalid

#: What a gate's query may refer to; everything else between braces is refused.
PLACEHOLDERS: Final = ("flag", "candidate", "stable", "wave", "window")
_PLACEHOLDER: Final = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_LABEL_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def fill_in(template: str, values: Mapping[str, str]) -> str:
    """Replace each placeholder, escaped for a double-quoted PromQL string."""
    return _PLACEHOLDER.sub(lambda match: escape(values[match[1]]), template)


def escape(value: str) -> str:
    """Text as it stands between the quotes of a double-quoted PromQL string.

    See https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals.
    """
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def matchers(labels: Mapping[str, str]) -> str:
    """Label matchers, values escaped; placeholders among them stay, to be filled in."""
    return ",".join(f'{name}="{escape(value)}"' for name, value in labels.items())


def check_placeholders(field: str, template: str, known: Iterable[str]) -> None:
    """Refuse what nobody could fill in.

    Raises:
        Invalid: naming the placeholder.
    """
    for name in _PLACEHOLDER.findall(template):
        if name not in known:
            raise Invalid(
                field, f"{{{{{name}}}}} is not known", "one of " + ", ".join(f"{{{{{each}}}}}" for each in known)
            )


def check_label_names(field: str, labels: Mapping[str, str], *, reserved: Iterable[str] = ()) -> None:
    """Refuse names that are no labels, or that the gate fills in itself.

    Raises:
        Invalid: naming the label.
    """
    for name in labels:
        if not _LABEL_NAME.fullmatch(name):
            raise Invalid(f"{field}.{name}", "is not a label name", "letters, digits and _, such as severity")
        if name in reserved:
            raise Invalid(f"{field}.{name}", "is the gate's own", "another label")
