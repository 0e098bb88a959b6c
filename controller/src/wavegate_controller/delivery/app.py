"""The ASGI application: a module of the data plane for each prefix, and the control plane for all other paths."""

from collections.abc import Mapping

from wavegate_controller.delivery.asgi import Application, Receive, Scope, Send


class Delivery:
    """Routes by the first part of the path.

    Args:
        modules: prefix, such as `/sdk/`, to what answers beneath it. Each checks keys by itself.
        otherwise: the application for all other paths.
    """

    def __init__(self, modules: Mapping[str, Application], *, otherwise: Application) -> None:
        self._modules = dict(modules)
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path", "")
        module = self._modules.get(path[: path.find("/", 1) + 1], self._otherwise)
        await module(scope, receive, send)
