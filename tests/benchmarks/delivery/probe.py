"""Asks for the ruleset again and again; the slowest answer between `begin` and `end`.

What is asked while the server's loop is stalled waits for it, so that is the longest stall, too, and a little more.
"""

import sys
import threading
import time

import requests

slowest = 0.0
session = requests.Session()
url = f"{sys.argv[1]}/sdk/v1/ruleset"
etag = session.get(url, timeout=10).headers["ETag"]


def ask() -> None:
    global slowest  # noqa: PLW0603 # a script
    while True:
        began = time.monotonic()
        try:
            session.get(url, headers={"If-None-Match": etag}, timeout=10)
        except requests.RequestException:
            # The server is being restarted.
            time.sleep(0.1)
            continue
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.002)


threading.Thread(target=ask, daemon=True).start()
for line in sys.stdin:
    if line.strip() == "begin":
        slowest = 0.0
    else:
        print(slowest, flush=True)
