"""Who signs what is done from the pages. On an open controller that is a name that nothing proves, kept in a cookie."""

from http import HTTPStatus
from typing import Final

from flask import Blueprint, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.domain.access import Kind, Principal
from wavegate_controller.identity import principal, unproven

_COOKIE: Final = "wavegate_name"
_LONGEST: Final = 80
_YEAR: Final = 365 * 24 * 3600


def signer() -> Principal:
    """Whoever sends the form; on an open controller under the name that they give, or have given before."""
    sender = principal()
    name = request.form.get("actor", "").strip() or given_name()
    return unproven(name) if sender.kind is Kind.UNPROVEN and name else sender


def given_name() -> str:
    """The name that this browser was told."""
    return request.cookies.get(_COOKIE, "").strip()[:_LONGEST]


def add_signing(web: Blueprint) -> None:
    """The form in the head of an open controller's pages."""

    @web.post("/name")
    def give_name() -> ResponseReturnValue:
        response = make_response(redirect(url_for("web.overview"), HTTPStatus.SEE_OTHER))
        name = request.form.get("name", "").strip()[:_LONGEST]
        response.set_cookie(_COOKIE, name, max_age=_YEAR, httponly=True, samesite="Lax", secure=request.is_secure)
        return response
