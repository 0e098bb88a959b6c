"""Somebody who asks for something."""

from wavegate_controller.domain.access import EVERYWHERE, Kind, Principal, Role


def person(name: str = "anna", role: Role = Role.ADMIN, environment: str = EVERYWHERE) -> Principal:
    """A person with one role; by default one who may do everything."""
    return Principal(name=name, kind=Kind.USER, roles={environment: role})
