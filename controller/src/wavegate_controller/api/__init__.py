"""The control plane's HTTP API: thin views over the services. docs/api.md describes it."""

from wavegate_controller.api.blueprint import make_api

__all__ = ["make_api"]
