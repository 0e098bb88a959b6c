"""The data plane: what apps fetch and follow. Asynchronous, in memory, never touching the database."""

from wavegate_controller.delivery.app import Delivery
from wavegate_controller.delivery.cors import Cors
from wavegate_controller.delivery.counts import PostedCounts
from wavegate_controller.delivery.feed import Feed, FeedRoutes, Happening
from wavegate_controller.delivery.feedback import FeedbackRoute
from wavegate_controller.delivery.flagd import Flagd
from wavegate_controller.delivery.hub import Hub, Limits
from wavegate_controller.delivery.keys import Grant, Keys
from wavegate_controller.delivery.limits import RateLimits
from wavegate_controller.delivery.ofrep import Ofrep
from wavegate_controller.delivery.sdk import SdkRoutes

__all__ = [
    "Cors",
    "Delivery",
    "Feed",
    "FeedRoutes",
    "FeedbackRoute",
    "Flagd",
    "Grant",
    "Happening",
    "Hub",
    "Keys",
    "Limits",
    "Ofrep",
    "PostedCounts",
    "RateLimits",
    "SdkRoutes",
]
