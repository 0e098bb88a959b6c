"""Tells of each request of the control plane: which operation, how it ended, how long it took."""

from collections.abc import Callable
from time import perf_counter
from typing import Final, Protocol

from flask import Flask, Response, g, request

#: A client may call its method what it likes; each word of its own would be a series.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "other"


class Told(Protocol):
    """Hears of a request that was answered."""

    def __call__(self, operation: str, *, method: str, status: int, seconds: float) -> None:
        """Called by the thread that answered."""
        ...


def tell_requests(app: Flask, told: Told, *, clock: Callable[[], float] = perf_counter) -> None:
    """Tell of every request of the app, once it is answered; before anything else is registered that may answer.

    An operation is called as in the OpenAPI document, a page by its place (`web.flag`), and what leads nowhere is
    `other`: there are as many names as the code has, whatever is asked for.
    """

    @app.before_request
    def begin() -> None:
        g.begun = clock()

    @app.after_request
    def end(response: Response) -> Response:
        told(
            (request.endpoint or _OTHER).removeprefix("api.").removeprefix("v1."),
            method=request.method if request.method in _METHODS else _OTHER,
            status=response.status_code,
            seconds=clock() - g.begun,
        )
        return response
