"""Scripts and styles are sent compressed. Pages are not: they hold a secret beside what others may put there too."""

import gzip
from functools import lru_cache

from flask import Response, request

_TYPES = frozenset({"text/css", "text/javascript", "application/javascript", "image/svg+xml"})


def compress(response: Response) -> Response:
    """Where the browser takes it, and the file is one of ours."""
    if request.endpoint != "web.static" or response.mimetype not in _TYPES:
        return response
    response.headers["Vary"] = "Accept-Encoding"
    if response.status_code == 200 and request.accept_encodings.quality("gzip"):  # noqa: PLR2004 - OK
        response.direct_passthrough = False
        response.set_data(_compressed(response.get_data()))
        response.headers["Content-Encoding"] = "gzip"
    return response


@lru_cache(maxsize=64)
def _compressed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)
