"""Tools from Debian's packages, unpacked below .tools: nothing is installed on the system, so that it needs no root."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

TOOLS = Path(__file__).parents[2] / ".tools"


def tool(name, binary, *packages):
    """The command that runs it: from PATH, or from these packages; None where there is neither it nor apt."""
    if found := shutil.which(name):
        return [found]
    place = TOOLS / name
    if not (place / binary).exists() and not _fetch(place, packages):
        return None
    libraries = place / "usr" / "lib" / "x86_64-linux-gnu"
    return ["env", f"LD_LIBRARY_PATH={libraries}", str(place / binary)]


def _fetch(place, packages):
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        return False
    TOOLS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TOOLS) as scratch:
        work = Path(scratch)
        (work / "lists" / "partial").mkdir(parents=True)
        (work / "cache" / "archives" / "partial").mkdir(parents=True)
        # apt would drop to a user of its own, who may not write here.
        quiet = ["apt-get", "-qq", "-o", f"APT::Sandbox::User={_user()}"]
        own = ["-o", f"Dir::State::lists={work / 'lists'}", "-o", f"Dir::Cache={work / 'cache'}"]
        # A fresh machine has no package lists, an old one has stale ones: then they are read into the checkout.
        if not _works([*quiet, "download", *packages], work) and not (
            _works([*quiet, *own, "update"], work) and _works([*quiet, *own, "download", *packages], work)
        ):
            return False
        for package in work.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, work / "unpacked"], check=True)
        shutil.rmtree(place, ignore_errors=True)
        (work / "unpacked").rename(place)
    return True


def _works(command, where):
    return subprocess.run(command, cwd=where, capture_output=True, check=False).returncode == 0


def _user():
    return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip() or str(os.getuid())
