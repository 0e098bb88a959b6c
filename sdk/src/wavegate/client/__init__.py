"""The SDK's client: polls a controller, answers from memory, counts what was served."""

from wavegate.client.checks import ConfigError
from wavegate.client.client import Client
from wavegate.client.trial import Trial

__all__ = ["Client", "ConfigError", "Trial"]
