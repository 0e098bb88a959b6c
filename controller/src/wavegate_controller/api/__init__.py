"""The control plane's HTTP API: thin views over the services. docs/api.md describes it."""

from wavegate_controller.api.blueprint import HEALTH, make_api
from wavegate_controller.api.requests import tell_requests

__all__ = ["HEALTH", "make_api", "tell_requests"]
