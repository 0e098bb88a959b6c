"""Log lines: for people, `action=… key=value …: sentence`; for machines the same as one JSON object each.

A line's keys stand in its template, so a value with spaces or an equals sign in it stays one value.
"""

import json
import logging
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

#: What an object says whatever its line; a key of a line never takes their place.
_OWN: Final = frozenset({"time", "level", "logger", "message", "error", "traceback"})
_PAIR: Final = re.compile(r"(\w+)=((?:%[-.\d]*[a-zA-Z]|[^\s%])+?)(?=:?(?:\s|$))")
_PLACE: Final = re.compile(r"%[-.\d]*[a-zA-Z]")
_NUMBER: Final = frozenset("dfg")


def log_to_stderr(level: str, *, layout: str = "text") -> None:
    """One line for each thing that happened; layout is `text` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    handler.setFormatter(JsonFormatter() if layout == "json" else text)
    logging.basicConfig(handlers=[handler], level=level.upper())


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record with the keys of its template; what stands behind them is its message."""
        pairs, message = _read(record)
        document: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            **{f"{key}_" if key in _OWN - {"error"} else key: value for key, value in pairs.items()},
        }
        if message:
            document["message"] = message
        if record.exc_info and record.exc_info[1] is not None:
            document.setdefault("error", repr(record.exc_info[1]))
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False, default=str)


def _read(record: logging.LogRecord) -> tuple[dict[str, Any], str]:
    """Keys and values of a line, and the sentence behind them; of a line of other libraries all is sentence."""
    template = str(record.msg)
    if not template.startswith("action=") or (record.args and not isinstance(record.args, tuple)):
        return {}, record.getMessage()
    values = iter(record.args or ())
    pairs: dict[str, Any] = {}
    end = 0
    for pair in _PAIR.finditer(template):
        if template[end : pair.start()].strip():
            break  # a sentence that happens to have an equals sign in it
        pairs[pair[1]] = _value(pair[2], values)
        end = pair.end()
    rest = tuple(values)
    return pairs, (template[end:] % rest if rest else template[end:]).lstrip(": ")


def _value(template: str, values: Iterator[Any]) -> Any:
    places = _PLACE.findall(template)
    filling = tuple(next(values) for _ in places)
    if template in places:
        # Alone in its place: a number stays one, and text is not quoted for people.
        (value,) = filling
        return value if places[0][-1] in _NUMBER or value is None else str(value)
    return template % filling
