"""The pages of a `World` for whoever looks at them, and what a browser would find there."""

import re
from html import unescape
from html.parser import HTMLParser

from flask import Flask
from flask.testing import FlaskClient

from support.control_plane import As
from support.people import person
from wavegate_controller.domain.access import EVERYWHERE, Role
from wavegate_controller.service.services import Services
from wavegate_controller.web import make_web


def pages_for(services: Services, role: Role = Role.ADMIN, environment: str = EVERYWHERE) -> FlaskClient:
    """A browser of somebody with that role."""
    app = Flask("pages", static_folder=None)
    app.register_blueprint(make_web(services, As(person("ada", role, environment))))
    return app.test_client()


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
