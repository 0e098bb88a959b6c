"""An app of one file: it asks Wavegate for each of its users, counts what happens, and shows its metrics on port 8000.

Users come by themselves. The feature is `ai-summaries`; set FAIL to a share such as 0.3 to make its candidate bad.
"""

import os
import random
import signal
import threading

from prometheus_client import start_http_server

import wavegate

PORT = int(os.environ.get("PORT", "8000"))
FAIL = float(os.environ.get("FAIL", "0"))


def main() -> None:
    """Until SIGTERM."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    gate = wavegate.Client(os.environ["WAVEGATE_URL"], os.environ["WAVEGATE_SDK_KEY"])
    start_http_server(PORT)
    chance = random.Random()  # noqa: S311 - users, no secrets
    while not stopped.wait(0.02):
        with gate.trial("ai-summaries", f"user-{chance.randrange(5000)}") as trial:
            if trial.enabled and chance.random() < FAIL:
                trial.bad()
    gate.close()


if __name__ == "__main__":
    main()
