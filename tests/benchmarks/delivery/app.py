"""One app with a client as it comes: says when changes are pushed to it, and when it uses a new revision."""

import sys
import time

from prometheus_client import CollectorRegistry

import wavegate

client = wavegate.Client(sys.argv[1], registry=CollectorRegistry())
while not client.streaming:
    time.sleep(0.01)
client.on_change(lambda ruleset: print(ruleset.revision, time.monotonic(), flush=True))
print("streaming", flush=True)
sys.stdin.read()
