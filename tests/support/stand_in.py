"""A server in the controller's place: it answers an SDK what a test tells it to, and remembers what it was asked."""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def document(revision=1, *, on=True, environment="production", **fields):
    flag = {"variants": {"on": True, "off": False}, "default_variant": "on" if on else "off"} | fields
    return {"schema": 1, "environment": environment, "revision": revision, "flags": {"search": flag}}


#: Half of the users have the candidate.
HALF = {"rollout": {"stable": "off", "candidate": "on", "weight": 50_000}}


STREAM = "/sdk/v1/stream"


@dataclass
class Answer:
    body: bytes = b""
    status: int = 200
    headers: dict = field(default_factory=dict)
    #: Seconds between two bytes of the body.
    trickle: float = 0.0
    #: Reads the request and hangs up.
    hangs_up: bool = False


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    headers: dict
    status: int
    body: bytes
    at: float
    client: tuple


class StandIn:
    """Serves one answer to GET, with its ETag, and one to POST, until it is told others."""

    def __init__(self, port=0, *, keep_alive=False):
        self.answer = Answer(status=503)
        self.post_answer = Answer(status=204)
        self.seen = []
        self._condition = threading.Condition()
        controller = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                if self.path == STREAM:
                    # Not what is told here: clients that want a stream poll.
                    self.send_response(404)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                controller._respond(self, controller.answer, keep_alive)

            def do_POST(self):
                controller._respond(self, controller.post_answer, keep_alive)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_):
                """A client that ends while it is answered is part of what is tested."""

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def serve(self, ruleset, **headers):
        body = json.dumps(ruleset).encode()
        self.answer = Answer(body=body, headers={"ETag": f'"{hash(body)}"'} | headers)

    def fail(self, status, **headers):
        self.answer = Answer(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def wait_for_requests(self, more, status=None, method=None, timeout=10):
        """Waits until that many further requests came (and are answered with that status)."""
        with self._condition:
            start = len(self.seen)

            def enough():
                return (
                    sum(status in (None, one.status) and method in (None, one.method) for one in self.seen[start:])
                    >= more
                )

            assert self._condition.wait_for(enough, timeout), [one.status for one in self.seen[start:]][:20]

    def posts(self):
        """The documents that were posted and accepted, in the order in which they came."""
        return [json.loads(one.body) for one in list(self.seen) if one.method == "POST" and 200 <= one.status < 300]

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _respond(self, handler, answer, keep_alive):
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        etag = answer.headers.get("ETag")
        if etag is not None and handler.headers.get("If-None-Match") == etag:
            answer = Answer(status=304, headers={"ETag": etag})
        status = 0 if answer.hangs_up else answer.status
        headers = dict(handler.headers)
        # Before it is answered: whoever has the answer may go on and look here.
        with self._condition:
            self.seen.append(
                Seen(handler.command, handler.path, headers, status, body, time.monotonic(), handler.client_address)
            )
            self._condition.notify_all()
        if answer.hangs_up:
            handler.close_connection = True
        else:
            self._write(handler, answer, keep_alive)

    def _write(self, handler, answer, keep_alive):
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if answer.status not in (204, 304):
            handler.send_header("Content-Length", str(len(answer.body)))
        if not keep_alive:
            # A kept connection would outlive the server in the tests that stop it.
            handler.send_header("Connection", "close")
            handler.close_connection = True
        handler.end_headers()
        try:
            for byte in answer.body if answer.trickle else ():
                handler.wfile.write(bytes((byte,)))
                time.sleep(answer.trickle)
            if not answer.trickle:
                handler.wfile.write(answer.body)
        except OSError:
            handler.close_connection = True
