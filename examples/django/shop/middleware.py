"""Every view finds the client at its request."""

from collections.abc import Callable

from django.apps import apps
from django.http import HttpRequest, HttpResponse


def flags(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Sets `request.gate`."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.gate = apps.get_app_config("shop").gate
        return get_response(request)

    return middleware
