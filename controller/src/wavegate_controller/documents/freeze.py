"""Freeze windows as documents: moments as people write them, `fri 16:00` every week or `2026-12-20 18:00` once."""

import re
from collections.abc import Sequence
from datetime import datetime, time
from typing import Any, Final

from pydantic import ConfigDict, Field

from wavegate_controller.documents.reading import Document
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.freeze import WEEKDAYS, FreezeWindow, Weekly

_WEEKLY: Final = re.compile(rf"({'|'.join(WEEKDAYS)})[a-z]*(?: (\d\d):(\d\d))?", re.IGNORECASE)
_DATED: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d))?")


class FreezeWindowDocument(Document):
    """When nothing may raise exposure."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    name: str = Field(default="freeze", description="What people call it.")
    time_zone: str = Field(default="UTC", description="IANA name, such as Europe/Berlin.")
    begin: str = Field(alias="from", description='"fri 16:00" for every week, or "2026-12-20 18:00" for once.')
    end: str = Field(alias="to", description="Of the same kind; the window ends just before it.")

    def to_domain(self) -> FreezeWindow:
        """The window.

        Raises:
            Invalid: naming the field.
        """
        return FreezeWindow(
            name=self.name,
            time_zone=self.time_zone,
            begin=_moment("from", self.begin),
            end=_moment("to", self.end),
        )


def freeze_windows_to_domain(documents: Sequence[FreezeWindowDocument], field: str) -> tuple[FreezeWindow, ...]:
    """The windows, each refusal by its place in the list.

    Raises:
        Invalid: naming the field.
    """
    windows = []
    for index, document in enumerate(documents):
        try:
            windows.append(document.to_domain())
        except Invalid as refusal:
            raise refusal.under(f"{field}[{index}]") from None
    return tuple(windows)


def freeze_window_to_document(window: FreezeWindow) -> dict[str, Any]:
    """The document that gives this window back."""
    return {
        "name": window.name,
        "time_zone": window.time_zone,
        "from": _text(window.begin),
        "to": _text(window.end),
    }


def _moment(field: str, text: str) -> Weekly | datetime:
    try:
        if weekly := _WEEKLY.fullmatch(text.strip()):
            day, hour, minute = weekly.groups()
            return Weekly(day=WEEKDAYS.index(day.lower()), at=time(int(hour or 0), int(minute or 0)))
        if dated := _DATED.fullmatch(text.strip()):
            year, month, date, hour, minute = (int(part or 0) for part in dated.groups())
            return datetime(year, month, date, hour, minute)  # noqa: DTZ001 - a wall clock's; the zone stands beside it
    except ValueError:  # the 31st of June, 25:00
        pass
    raise Invalid(
        field, f"{text!r} is no moment", 'a weekly one such as "fri 16:00", or one such as "2026-12-20 18:00"'
    )


def _text(moment: Weekly | datetime) -> str:
    if isinstance(moment, Weekly):
        return f"{WEEKDAYS[moment.day]} {moment.at:%H:%M}"
    return f"{moment:%Y-%m-%d %H:%M}"
