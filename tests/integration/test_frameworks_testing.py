"""The tests that docs/integrations.md shows, run by pytest as an app's author would."""

import os
import subprocess
import sys

from support.listings import write_listings


def test_the_tests_on_the_page_pass(tmp_path):
    names = write_listings("integrations.md", tmp_path)
    environment = os.environ | {"WAVEGATE_URL": "http://127.0.0.1:9", "CELERY_BROKER_URL": "memory://"}

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert {"test_summary.py", "test_task.py"} <= set(names)
    assert "3 passed" in run.stdout, run.stdout
