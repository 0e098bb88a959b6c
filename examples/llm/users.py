"""Users who ask all the time, twenty questions a second, until they are stopped: python users.py URL."""

import random
import sys
import time
from contextlib import suppress

import requests

QUESTIONS = ("Where is the fuse?", "What does the light say?", "Who has the key?", "Why is the fan still?")


def main() -> None:
    """Five thousand people, one after the other."""
    chance = random.Random()  # noqa: S311 - users, no secrets
    with requests.Session() as session:
        while True:
            user = f"user-{chance.randrange(5000)}"
            # The app may not be there yet, or no longer.
            with suppress(requests.RequestException):
                session.get(f"{sys.argv[1]}/answer/{user}", params={"question": chance.choice(QUESTIONS)}, timeout=10)
            time.sleep(0.05)


if __name__ == "__main__":
    main()
