"""A metrics server on loopback that does to each request whatever it is told to, good or bad."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

#: A whole answer, with nothing in it.
COMPLETE = json.dumps({"status": "success", "data": {"resultType": "vector", "result": []}}).encode()


@dataclass
class Fault:
    """A loopback server that answers each request as it is told, and remembers what it was asked."""

    server: ThreadingHTTPServer
    behaviour: Callable = None
    requests: list = field(default_factory=list)
    #: Set at the end of the test: behaviours that wait or trickle wait for it.
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


class _Server(ThreadingHTTPServer):
    request_queue_size = 64


@contextmanager
def fault_server() -> Iterator[Fault]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.form = parse_qs(body.decode())
            told.requests.append((self.path, self.headers, self.form))
            # The client may have gone away meanwhile: that is what some rows are about.
            with suppress(OSError):
                told.behaviour(self)

        do_GET = do_POST  # noqa: N815 - the name is the server's

        def log_message(self, *_):
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    told = Fault(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield told
    finally:
        told.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


# What a server may do


def says(body, *, status=200, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def behave(handler):
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)
        handler.close_connection = True

    return behave


def gives(kind, result, **more):
    return says({"status": "success", "data": {"resultType": kind, "result": result}, **more})


def gives_vector(*values, **more):
    series = [{"metric": {"pod": f"p{number}"}, "value": value} for number, value in enumerate(values)]
    return gives("vector", series, **more)


def fails(status, kind="internal", message="no details", **more):
    return says({"status": "error", "errorType": kind, "error": message}, status=status, **more)


def writes(raw: bytes):
    def behave(handler):
        handler.wfile.write(raw)
        handler.close_connection = True

    return behave


def hangs(fault):
    return lambda _: fault.over.wait()


def trickles(fault, beginning: bytes):
    def behave(handler):
        handler.wfile.write(beginning)
        while not fault.over.wait(0.02):
            handler.wfile.write(b" ")
            handler.wfile.flush()
        handler.close_connection = True

    return behave


def streams_without_end(fault, *, status=200, location=None):
    def behave(handler):
        handler.send_response(status)
        if location:
            handler.send_header("Location", location)
        handler.end_headers()
        chunk = b" " * 1024 * 1024
        while not fault.over.is_set():
            handler.wfile.write(chunk)

    return behave
