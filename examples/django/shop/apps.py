"""The app's configuration: it makes the one client, once Django is set up."""

from django.apps import AppConfig
from django.conf import settings

import wavegate


class Shop(AppConfig):
    """Has the client for everybody."""

    name = "shop"
    gate: wavegate.Client

    def ready(self) -> None:
        """Makes it; it never waits for the controller."""
        self.gate = wavegate.Client(settings.WAVEGATE_URL, settings.WAVEGATE_SDK_KEY, app_name="shop")
