"""The data plane: what apps fetch. Asynchronous, in memory, never touching the database."""

from wavegate_controller.delivery.app import Delivery
from wavegate_controller.delivery.counts import PostedCounts
from wavegate_controller.delivery.snapshot import Snapshot

__all__ = ["Delivery", "PostedCounts", "Snapshot"]
