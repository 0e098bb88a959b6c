"""A product app of a company: /use asks for a feature as somebody of a department and a region, and counts it."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from prometheus_client import generate_latest

import wavegate

client = wavegate.Client(os.environ["CONTROLLER"], app_name="desk")
#: What is wrong with the feature of this name: one answer in so many fails.
FAILS = {"ai-answers": 3}
asked = dict.fromkeys(FAILS, 0)


class ModelError(Exception):
    """The model gave no usable answer."""


def think(feature):
    asked[feature] += 1
    if asked[feature] % FAILS[feature] == 0:
        raise ModelError


def use(feature, user, **attributes):
    trial = client.trial(feature, user, **attributes)
    try:
        with trial:
            if trial.enabled and feature in FAILS:
                think(feature)
    except ModelError:
        return 503, {"variant": trial.variant}
    return 200, {"variant": trial.variant}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        where = urlsplit(self.path)
        if where.path == "/metrics":
            status, body = 200, generate_latest()
        else:
            query = {name: values[0] for name, values in parse_qs(where.query).items()}
            status, answer = use(where.path.rpartition("/")[2], query.pop("user"), **query)
            body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
    client.wait_ready(10)
    print(f"serving url=http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
