"""The settings in the database: people, tokens, SDK keys, environments, notifications; and a test of metrics."""

from flask import Blueprint

from wavegate_controller.service.services import Services
from wavegate_controller.web.pages.settings.channels import add_channels
from wavegate_controller.web.pages.settings.frame import add_front
from wavegate_controller.web.pages.settings.metrics import add_metrics
from wavegate_controller.web.pages.settings.people import add_environments, add_people
from wavegate_controller.web.pages.settings.secrets import add_keys, add_tokens


def add_settings(web: Blueprint, services: Services) -> None:
    """The pages beneath /settings."""
    for add in (add_front, add_people, add_tokens, add_keys, add_environments, add_channels, add_metrics):
        add(web, services)
