"""`wavegate relay`: the data plane of another controller, or relay, served from here.

A relay is a client of its upstream, and a controller's data plane to everybody else. It keeps nothing but a cache: take
it away, and apps go on with what they have.
"""

from wavegate_controller.relay.server import Relay, RelaySettings, serve

__all__ = ["Relay", "RelaySettings", "serve"]
