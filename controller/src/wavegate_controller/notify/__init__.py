"""Carrying messages to the outside: services by apprise, webhooks by a signed POST, and the loop that sends them."""

from wavegate_controller.notify.messenger import OutsideMessenger
from wavegate_controller.notify.sender import Sender

__all__ = ["OutsideMessenger", "Sender"]
