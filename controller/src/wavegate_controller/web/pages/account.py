"""The page of one's own account: who one is, where one may do what, and a new password."""

from http import HTTPStatus
from typing import Final

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.domain.access import LEAST_ROLE, Kind, Permission, Principal
from wavegate_controller.domain.credential import hash_of
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.identity import Identity, principal
from wavegate_controller.service import accounts, sessions
from wavegate_controller.service.services import Services
from wavegate_controller.web.door import new_password, wrong

#: What each permission lets people do, in words.
MAY: Final = {
    Permission.READ: "see flags, rollouts and why they stand where they do",
    Permission.AUDIT: "read the audit",
    Permission.EDIT: "create and change flags and rollouts, stop them and take them back",
    Permission.REPORT_ALERTS: "report alerts",
    Permission.APPROVE: "approve, reject and promote waves",
    Permission.ADMINISTER: "manage people, tokens, keys and environments",
}


def add_account(web: Blueprint, services: Services, identity: Identity) -> None:
    """The pages /account and /logout."""

    def page(*, problem: str = "", done: str = "", status: int = HTTPStatus.OK) -> tuple[str, int]:
        person = principal()
        text = render_template(
            "web/account.html",
            person=person,
            has_password=person.kind is Kind.USER and accounts.has_password(services, by=person),
            standings=_standings(person),
            problem=problem,
            done=done,
        )
        return text, status

    @web.get("/account")
    def account() -> ResponseReturnValue:
        return page()

    @web.post("/account/password")
    def change_password() -> ResponseReturnValue:
        secret = identity.session_secret
        try:
            accounts.change_password(
                services,
                request.form.get("current", ""),
                new_password(),
                keep=None if secret is None else hash_of(secret),
                by=principal(),
            )
        except Invalid as refusal:
            return page(problem=wrong(refusal), status=HTTPStatus.UNPROCESSABLE_ENTITY)
        return page(done="Your password is changed, and all other browsers are signed out.")

    @web.post("/logout")
    def logout() -> ResponseReturnValue:
        if identity.session_secret is not None:
            sessions.end(services, identity.session_secret)
        response = make_response(redirect(url_for("door.login"), HTTPStatus.SEE_OTHER))
        identity.let_go(response)
        return response


def _standings(person: Principal) -> list[tuple[str, str, list[str]]]:
    """Environment, role there, and what it allows."""
    return [
        (
            "all environments" if place == "*" else place,
            role.value,
            [MAY[permission] for permission in LEAST_ROLE if role.allows(permission)],
        )
        for place, role in sorted(person.roles.items())
    ]
