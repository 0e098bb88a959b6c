"""Importing the SDK costs an app next to nothing until it makes a client."""

import subprocess
import sys


def test_importing_wavegate_brings_no_heavy_library():
    heavy = ("requests", "urllib3", "prometheus_client", "http.client", "ssl", "asyncio")
    code = f"import sys, wavegate; print([name for name in {heavy!r} if name in sys.modules])"

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"
