"""How far the rulesets have come, for who may read the environment."""

from collections.abc import Sequence

from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.delivery import ConnectedClient, DeliveredRevision
from wavegate_controller.service.services import Services


def delivered_revisions(services: Services, *, by: Principal) -> Sequence[DeliveredRevision]:
    """How far each revision came, newest first."""
    by.require(Permission.READ, services.environment)
    return services.fleets.revisions(services.environment)


def connected_clients(services: Services, *, by: Principal) -> Sequence[ConnectedClient]:
    """Who is connected, those furthest behind first."""
    by.require(Permission.READ, services.environment)
    return services.fleets.clients(services.environment)
