"""Somebody who asks for something, and how the controller knows them."""

from argon2 import PasswordHasher

from wavegate_controller.domain.access import EVERYWHERE, Kind, Principal, Role
from wavegate_controller.identity import FixedToken, Identity
from wavegate_controller.passwords import Argon2Passwords

#: As little work as there can be.
QUICK_PASSWORDS = Argon2Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def person(name: str = "anna", role: Role = Role.ADMIN, environment: str = EVERYWHERE) -> Principal:
    """A person with one role; by default one who may do everything."""
    return Principal(name=name, kind=Kind.USER, roles={environment: role})


def identity(services, **tokens: str) -> Identity:
    """Knows the names with these tokens as admins; with none, the controller is open."""
    fixed = {name: FixedToken(token=token, roles={EVERYWHERE: Role.ADMIN}) for name, token in tokens.items()}
    return Identity(services, tokens=fixed, is_open=not tokens)
