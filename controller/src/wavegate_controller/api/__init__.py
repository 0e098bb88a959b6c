"""The control plane's HTTP API: thin views over the services. docs/api.md describes it."""

from wavegate_controller.api.blueprint import HEALTH, make_api

__all__ = ["HEALTH", "make_api"]
