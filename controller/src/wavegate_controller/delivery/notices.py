"""OFREP's event stream: says that something changed, not what, so that the client asks again for its own context."""

import json

from wavegate_controller.delivery.channel import Channel
from wavegate_controller.delivery.rendered import Rendered


class Notices(Channel):
    """One environment's; it follows the channel that carries the rulesets. In the loop's thread."""

    def show(self, current: Rendered | None) -> None:
        """This is in force; whoever was not told of it is."""
        self.current = current
        self.wake()

    def since(self, held: str) -> tuple[bytes, str]:
        """One notice, however much is behind; who comes without an id may have missed something."""
        current = self.current
        assert current is not None, "streams are let in when there is a revision"  # noqa: S101 # for mypy, and true
        if held == current.id:
            return b"", held
        data = json.dumps({"type": "refetchEvaluation", "etag": current.id})
        return f"id: {current.id}\nevent: message\ndata: {data}\n\n".encode(), current.id
