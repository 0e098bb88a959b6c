"""The pages of a `World` for whoever looks at them, and what a browser would find there."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from html.parser import HTMLParser
from threading import Thread

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import WSGIRequestHandler, make_server

from support.control_plane import As
from support.people import person
from wavegate_controller.domain.access import EVERYWHERE, Role
from wavegate_controller.service.services import Services
from wavegate_controller.web import make_web


def pages_for(services: Services, role: Role = Role.ADMIN, environment: str = EVERYWHERE) -> FlaskClient:
    """A browser of somebody with that role."""
    return _app(services, role, environment).test_client()


@contextmanager
def serving(services: Services, role: Role = Role.ADMIN) -> Iterator[str]:
    """The URL of the pages for real browsers."""
    server = make_server("127.0.0.1", 0, _app(services, role, EVERYWHERE), threaded=True, request_handler=_Quiet)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug calls it so
        pass


def _app(services: Services, role: Role, environment: str) -> Flask:
    app = Flask("pages", static_folder=None)
    app.register_blueprint(make_web(services, As(person("ada", role, environment))))
    return app


#: Elements that stand within a line of text.
_INLINE = {"a", "b", "code", "del", "ins", "small", "span", "time"}


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in _INLINE:
            self.parts.append(" ")

    def handle_endtag(self, tag):
        if tag not in _INLINE:
            self.parts.append(" ")

    def handle_data(self, data):
        self.parts.append(data)


def text_of(html: str) -> str:
    """What is to be read on a page."""
    text = _Text()
    text.feed(html)
    return re.sub(r"\s+", " ", "".join(text.parts).replace("\xa0", " "))


def hidden_fields(html: str) -> dict[str, str]:
    """The hidden fields of a page's forms, which a browser sends along."""
    tags = re.findall(r"<input type=\"hidden\"[^>]*>", html)
    return {
        re.search(r'name="([^"]*)"', tag)[1]: unescape(re.search(r'value="([^"]*)"', tag)[1])
        for tag in tags
        if 'name="' in tag and 'value="' in tag
    }
