"""The data plane: what apps fetch and follow. Asynchronous, in memory, never touching the database."""

from wavegate_controller.delivery.app import Delivery
from wavegate_controller.delivery.counts import PostedCounts
from wavegate_controller.delivery.hub import Hub, Limits
from wavegate_controller.delivery.keys import Grant, Keys
from wavegate_controller.delivery.sdk import SdkRoutes

__all__ = ["Delivery", "Grant", "Hub", "Keys", "Limits", "PostedCounts", "SdkRoutes"]
