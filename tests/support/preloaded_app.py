"""A WSGI app as people run it under `gunicorn --preload`: its client is made once, before the workers are forked."""

import json
import os
import struct

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

import wavegate

client = wavegate.Client(os.environ["CONTROLLER"], poll_interval=0.05, cache_path=os.environ["CACHE"], stream=False)
client.wait_ready(10)


def app(environ, start_response):
    """/metrics for all workers; any other path is a request under the flag, by the user it names."""
    user = environ["PATH_INFO"].strip("/")
    if user == "metrics":
        try:
            body = generate_latest(_all_workers())
        except struct.error:
            # prometheus_client makes a worker's file and gives it a size in two steps; whoever reads between them
            # fails. A scraper asks again.
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return []
    else:
        enabled = client.is_enabled("search", user)
        with client.trial("search", user) as trial:
            trial.cost_usd(0.25)
        body = json.dumps({"worker": os.getpid(), "revision": client.revision, "enabled": enabled}).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def _all_workers():
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry
