"""A controller as people run it: `wavegate serve` in a process of its own, on a free port."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from support.database import migrated, sqlite_file, sqlite_url
from support.waiting import wait_until
from wavegate_controller.remote import RemoteController

WAVEGATE = Path(sys.executable).with_name("wavegate")
#: Nothing listens there: gates cannot be measured, and hold.
NOWHERE = "http://127.0.0.1:1"


def environment(**variables):
    """This process's environment, without the settings of whoever runs the tests.

    Most tests are of what comes after the stages, and begin there.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WAVEGATE_")}
    return inherited | {"COLUMNS": "100", "NO_COLOR": "1", "WAVEGATE_STAGES": "optional"} | variables


@contextmanager
def live_controller(directory, **settings):
    """The URL of a controller that keeps its database in the directory."""
    if not sqlite_file(directory).exists():
        shutil.copy(migrated(), sqlite_file(directory))
    places = {"WAVEGATE_DATABASE_URL": sqlite_url(directory)}
    if "WAVEGATE_SCRAPE_TARGETS" not in settings:
        places["WAVEGATE_PROMETHEUS_URL"] = NOWHERE
    if "WAVEGATE_API_TOKENS" not in settings:
        places["WAVEGATE_OPEN"] = "true"
    command = subprocess.Popen(
        [WAVEGATE, "serve"],
        env=environment(**{"WAVEGATE_PORT": "0"} | places | settings),
        stderr=subprocess.PIPE,
        text=True,
    )
    with command as process:
        log = []
        try:
            for line in process.stderr:
                log.append(line)
                if said := re.search(r"action=serving url=(\S+)", line):
                    break
            else:
                raise AssertionError("the controller did not start:\n" + "".join(log))
            # Read on, or the controller would one day wait for somebody to read its log.
            reader = Thread(target=log.extend, args=(process.stderr,))
            reader.start()
            wait_until(RemoteController(said[1]).ready)
            yield said[1]
        finally:
            process.terminate()
            process.wait(timeout=10)
        reader.join()
