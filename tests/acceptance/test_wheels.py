"""The distributions, built and installed where nothing of the checkout is in reach."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = ROOT / ".tools" / "uv" / "bin" / "uv"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_wheels_that_are_built_here_are_light_serve_and_upgrade(tmp_path):
    uv = str(UV) if UV.exists() else shutil.which("uv")
    if uv is None:
        pytest.skip("there is no uv here; `make` fetches it")
    environment = os.environ | {"UV_SYSTEM_CERTS": "true", "UV_PYTHON_DOWNLOADS": "never"}
    for part in ("sdk", "controller"):
        command = [uv, "build", "--quiet", "--wheel", "--python", sys.executable, "--out-dir", tmp_path, ROOT / part]
        subprocess.run(command, check=True, env=environment)

    tried = subprocess.run(
        [sys.executable, ROOT / "scripts" / "try-wheels", tmp_path], capture_output=True, text=True, check=False
    )

    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert tried.stdout.count("ok  ") == 4
