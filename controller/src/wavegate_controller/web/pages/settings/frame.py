"""What the pages of the settings have in common: their tabs, the fields of roles, and how a form is tried."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.domain.access import EVERYWHERE, Permission, Principal, Role
from wavegate_controller.domain.errors import ControllerError, Invalid
from wavegate_controller.identity import here, principal
from wavegate_controller.service.environments import list_environments
from wavegate_controller.service.services import Services
from wavegate_controller.web.refusals import Refused, refused

#: Tab, its page, what it is for, and what it takes to see it; where `True`, in all environments.
TABS: Final[Sequence[tuple[str, str, str, Permission | None, bool]]] = (
    ("People", "settings_people", "Who may come in, and what they may do where.", Permission.ADMINISTER, True),
    ("API tokens", "settings_tokens", "Secrets by which programs act: CI, scripts, yourself.", None, False),
    ("SDK keys", "settings_keys", "Secrets by which apps read this environment's ruleset.", Permission.READ, False),
    ("Environments", "settings_environments", "Each has flags, rollouts and keys of its own.", None, False),
    ("Notifications", "settings_channels", "Who is told, where, of what.", Permission.READ, False),
    ("Metrics", "settings_metrics", "Whether the metrics server can be used.", Permission.READ, False),
)
_ROLES: Final = tuple(role.value for role in Role if role is not Role.REPORTER)
_PREFIX: Final = "role:"


def add_front(web: Blueprint, services: Services) -> None:
    """The page /settings."""

    @web.get("/settings")
    def settings() -> str:
        return frame(here(services), "web/settings/front.html", "")


def frame(services: Services, template: str, tab: str, **values: Any) -> str:
    """A page of the settings, with the tabs that this person may see."""
    who = principal()
    tabs = [
        (text, url_for(f"web.{page}"), page == tab, about)
        for text, page, about, needs, everywhere in TABS
        if needs is None or who.may(needs, EVERYWHERE if everywhere else services.environment)
    ]
    # What was refused stands there still; what was done makes room for the next.
    problem: Refused = values.get("refused", Refused())
    given = request.form if problem.errors or problem.problem else {}
    return render_template(template, tabs=tabs, given=given, given_roles=_roles_of(given), **values)


def tried(
    page: Callable[[Refused], str], act: Callable[[], object], back: str, fields: Sequence[str] = ()
) -> ResponseReturnValue:
    """What a form asks for, then back to where it stands; or the page again, with what it was refused for."""
    try:
        act()
    except ControllerError as refusal:
        found = refused(refusal, *fields)
        return page(found), found.status
    return redirect(url_for(f"web.{back}"), HTTPStatus.SEE_OTHER)


def made(
    page: Callable[[Refused], str], make: Callable[[], ResponseReturnValue], fields: Sequence[str]
) -> ResponseReturnValue:
    """What a form makes that is shown this once: the answer has it, since it is kept nowhere to be asked for again."""
    try:
        return make()
    except ControllerError as refusal:
        found = refused(refusal, *fields)
        return page(found), found.status


def given_roles() -> dict[str, str]:
    """The roles that a form gives, by environment.

    Raises:
        Invalid: none.
    """
    roles = _roles_of(request.form)
    if not roles:
        raise Invalid("roles", "gives no role anywhere", "a role in one environment at least, or everywhere")
    return roles


def places(services: Services, who: Principal) -> list[tuple[str, str]]:
    """Where roles are given: everywhere, and each environment."""
    return [(EVERYWHERE, "everywhere"), *((each.name, each.name) for each in list_environments(services, by=who))]


def role_options(*, with_reporter: bool = False) -> list[tuple[str, str]]:
    """Roles as options; nothing first."""
    names = (*_ROLES, Role.REPORTER.value) if with_reporter else _ROLES
    return [("", "none"), *((name, name) for name in names)]


def form(*names: str) -> Mapping[str, str]:
    """What the fields of these names hold, without what stands around it."""
    return {name: request.form.get(name, "").strip() for name in names}


def _roles_of(given: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix(_PREFIX): value for name, value in given.items() if name.startswith(_PREFIX) and value}
