"""People and environments: who may come in, what they may do where, and where that is."""

from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from wavegate_controller.documents.catalog import EnvironmentChange, EnvironmentDocument
from wavegate_controller.documents.people import RolesDocument, UserDocument, to_roles
from wavegate_controller.documents.reading import parse
from wavegate_controller.domain.access import EVERYWHERE, Permission
from wavegate_controller.identity import here, principal
from wavegate_controller.service import accounts, environments
from wavegate_controller.service.accounts import Invitation
from wavegate_controller.service.services import Services
from wavegate_controller.web.pages.settings.frame import form, frame, given_roles, made, places, role_options, tried
from wavegate_controller.web.refusals import Refused
from wavegate_controller.web.signing import signer

_PEOPLE: Final = "settings_people"
_ENVIRONMENTS: Final = "settings_environments"


def add_people(web: Blueprint, services: Services) -> None:
    """The page /settings/people."""

    def page(problem: Refused, invitation: Invitation | None = None) -> str:
        where, who = here(services), principal()
        return frame(
            where,
            "web/settings/people.html",
            _PEOPLE,
            users=accounts.list_users(where, by=who),
            places=places(where, who),
            roles=role_options(),
            refused=problem,
            invitation=invitation,
            link=invitation and _link(where, invitation),
        )

    @web.get("/settings/people")
    def settings_people() -> str:
        return page(Refused())

    @web.post("/settings/people")
    def create_user() -> ResponseReturnValue:
        def make() -> ResponseReturnValue:
            document = parse(UserDocument, {"name": form("name")["name"], "roles": given_roles()})
            return page(
                Refused(), accounts.create_user(here(services), document.name, to_roles(document.roles), by=signer())
            ), 201

        return made(page, make, ("name", "roles"))

    @web.post("/settings/people/<name>/link")
    def invite_user(name: str) -> ResponseReturnValue:
        return made(page, lambda: (page(Refused(), accounts.invite(here(services), name, by=signer())), 201), ())

    @web.post("/settings/people/<name>/roles")
    def set_roles(name: str) -> ResponseReturnValue:
        def act() -> object:
            document = parse(RolesDocument, {"roles": given_roles()})
            return accounts.set_roles(here(services), name, to_roles(document.roles), by=signer())

        return tried(page, act, _PEOPLE)

    @web.post("/settings/people/<name>/enabled")
    def set_user_enabled(name: str) -> ResponseReturnValue:
        enabled = request.form.get("enabled") == "true"
        return tried(
            page, lambda: accounts.set_user_enabled(here(services), name, enabled=enabled, by=signer()), _PEOPLE
        )


def add_environments(web: Blueprint, services: Services) -> None:
    """The page /settings/environments."""

    def page(problem: Refused) -> str:
        where, who = here(services), principal()
        return frame(
            where,
            "web/settings/environments.html",
            _ENVIRONMENTS,
            found=environments.list_environments(where, by=who),
            may_administer=who.may(Permission.ADMINISTER, EVERYWHERE),
            refused=problem,
        )

    @web.get("/settings/environments")
    def settings_environments() -> str:
        return page(Refused())

    @web.post("/settings/environments")
    def create_environment() -> ResponseReturnValue:
        def act() -> object:
            document = parse(EnvironmentDocument, form("name", "description"))
            return environments.create_environment(
                here(services), document.name, description=document.description, by=signer()
            )

        return tried(page, act, _ENVIRONMENTS, ("name", "description"))

    @web.post("/settings/environments/<name>")
    def change_environment(name: str) -> ResponseReturnValue:
        def act() -> object:
            dry_run = request.form.get("dry_run") == "true"
            document = parse(EnvironmentChange, {"description": form("words")["words"], "dry_run": dry_run})
            return environments.change_environment(
                here(services), name, description=document.description, dry_run=document.dry_run, by=signer()
            )

        return tried(page, act, _ENVIRONMENTS)


def _link(services: Services, invitation: Invitation) -> str:
    """The whole address, as the controller is known to people."""
    return f"{(services.pages or request.host_url).rstrip('/')}/login/link/{invitation.secret}"
