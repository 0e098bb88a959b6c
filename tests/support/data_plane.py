"""The data plane alone, on a real socket, fed by the test instead of a database; and who follows it byte by byte."""

import json
import socket
import threading
from contextlib import contextmanager

import uvicorn

from support.rollouts import NOW
from support.stand_in import document
from support.waiting import wait_until
from wavegate.evaluation import ruleset_from_json, ruleset_to_json
from wavegate.evaluation.deltas import apply_delta, document_hash
from wavegate_controller.bootstrap import DataPlaneServer
from wavegate_controller.delivery import (
    Cors,
    Delivery,
    Flagd,
    Grant,
    Hub,
    Keys,
    Ofrep,
    PostedCounts,
    RateLimits,
    SdkRoutes,
)
from wavegate_controller.delivery.keys import hash_of
from wavegate_controller.delivery.protocol import BoundedProtocol
from wavegate_controller.domain.publication import PublishedRuleset

KEY = "wg_sdk_production_0123456789abcdef"


def published(revision=1, *, environment="production", flags=None, **fields):
    """A revision as the services publish it; of the stand-in's flag unless there are others."""
    one = document(revision, environment=environment, **fields)
    body = ruleset_to_json(ruleset_from_json(one if flags is None else one | {"flags": flags}))
    return PublishedRuleset(
        environment=environment, revision=revision, body=body, etag=document_hash(body), published_at=NOW
    )


class Serving:
    """An application on a real socket, in a thread."""

    def __init__(self, app, hub, *, port=0):
        self._socket = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(
            app,
            http=BoundedProtocol,
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._server = DataPlaneServer(config, hub)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self._thread.start()
        wait_until(lambda: self._server.started)

    def keep_alive(self, seconds):
        """For connections that are opened from now on."""
        self._server.config.timeout_keep_alive = seconds

    def connections(self):
        return len(self._server.server_state.connections)

    def close(self):
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()


class DataPlane:
    """A running data plane."""

    def __init__(self, *, keys=None, port=0, origins=(), rate=0, **options):
        self.hub = Hub(**options)
        self.keys = Keys()
        self.keys.listen(self.hub.revoke)
        self.allow({KEY: "production"} if keys is None else keys)
        self.counts = PostedCounts()
        self.ofrep = Ofrep(self.hub, self.keys, limits=RateLimits(rate), cors=Cors(origins))
        self.counts.include(self.ofrep.served)
        modules = {
            "/sdk/": SdkRoutes(self.hub, self.counts, self.keys),
            "/ofrep/": self.ofrep,
            "/flagd/": Flagd(self.hub, self.keys),
        }
        self.app = Delivery(modules, otherwise=_nothing_else)
        self._serving = Serving(self.app, self.hub, port=port)
        self.port, self.url = self._serving.port, self._serving.url

    def allow(self, keys):
        """These keys hold, and no others."""
        self.keys.replace(
            {hash_of(key): Grant(key_id=key, environment=environment) for key, environment in keys.items()}
        )

    def publish(self, *arguments, **fields):
        ruleset = published(*arguments, **fields)
        self.hub.publish(ruleset)
        return ruleset

    def followers(self, environment="production"):
        channel = self.hub.channel(environment)
        return [] if channel is None else list(channel.streams)

    def streams(self, environment="production"):
        return len(self.followers(environment))

    def keep_alive(self, seconds):
        self._serving.keep_alive(seconds)

    def connections(self):
        return self._serving.connections()

    def close(self):
        self._serving.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@contextmanager
def following(plane, **options):
    follower = Follower(plane, **options)
    try:
        yield follower
    finally:
        follower.close()


class Follower:
    """Reads a stream as it comes, and keeps the ruleset that its events make."""

    def __init__(self, plane, *, key=KEY, held="", timeout=10, receive_buffer=None, path="/sdk/v1/stream", **headers):
        self._socket = socket.socket()
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(timeout)
        self._socket.connect(("127.0.0.1", plane.port))
        headers = {"Host": "here"} | ({"Authorization": f"Bearer {key}"} if key else {}) | headers
        if held:
            headers["Last-Event-ID"] = held
        text = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self._socket.sendall(f"GET {path} HTTP/1.1\r\n{text}\r\n".encode())
        self._received = b""
        self._text = b""
        self.ended = False
        head = self._until(b"\r\n\r\n").decode()
        status, *lines = head.split("\r\n")
        self.status = int(status.split()[1])
        self.headers = dict(line.lower().split(": ", 1) for line in lines if line)
        self.body = b""
        self.id = held
        self.events = []

    def next(self):
        """The next block, comments among them: (name, data)."""
        while b"\n\n" not in self._text:
            self._text += self._chunk()
        block, self._text = self._text.split(b"\n\n", 1)
        fields = {}
        for line in block.split(b"\n"):
            name, _, value = line.partition(b": ")
            fields[name.decode() or "comment"] = value.decode() if name else line[1:].strip().decode()
        name = fields.get("event", "comment")
        if name == "ruleset":
            self.body = fields["data"].encode()
        elif name == "delta":
            self.body = apply_delta(self.body, fields["data"])
        self.id = fields.get("id", self.id)
        self.events.append(name)
        return name, fields.get("data", "")

    def until(self, revision):
        """Reads until the ruleset has this revision."""
        while self.revision != revision:
            self.next()

    def read_to_end(self):
        """Whether the server ended the stream, or the connection."""
        try:
            while True:
                self.next()
        except EOFError:
            return True

    @property
    def revision(self):
        return json.loads(self.body)["revision"] if self.body else None

    def close(self):
        self._socket.close()

    def _chunk(self):
        size = int(self._until(b"\r\n"), 16)
        chunk = self._exactly(size)
        self._exactly(2)
        if not size:
            raise EOFError
        return chunk

    def _until(self, mark):
        while mark not in self._received:
            self._more()
        head, self._received = self._received.split(mark, 1)
        return head

    def _exactly(self, size):
        while len(self._received) < size:
            self._more()
        chunk, self._received = self._received[:size], self._received[size:]
        return chunk

    def _more(self):
        try:
            more = self._socket.recv(1 << 16)
        except ConnectionResetError:
            more = b""
        if not more:
            raise EOFError
        self._received += more


async def _nothing_else(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})
