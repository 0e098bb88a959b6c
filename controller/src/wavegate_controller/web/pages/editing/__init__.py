"""Editors: each a form that shows what it would change before it does, and keeps what was typed whatever happens."""

from flask import Blueprint

from wavegate_controller.service.services import Services
from wavegate_controller.web.pages.editing.flag import add_flag_editor
from wavegate_controller.web.pages.editing.plan import add_plan_editor
from wavegate_controller.web.pages.editing.segment import add_segment_editor
from wavegate_controller.web.pages.editing.targeting import add_targeting_editor


def add_editing(web: Blueprint, services: Services) -> None:
    """The editors of flags, of rollouts and of segments."""
    for add in (add_flag_editor, add_targeting_editor, add_plan_editor, add_segment_editor):
        add(web, services)
