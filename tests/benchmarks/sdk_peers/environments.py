"""An environment for each contestant: together, some would silently hold others back at old versions."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Answers name, version and size of every distribution in its environment; compiled files are not counted.
CENSUS = """
import importlib.metadata, json
def size(distribution):
    paths = [file.locate() for file in distribution.files or () if file.suffix != ".pyc"]
    return sum(path.stat().st_size for path in paths if path.is_file())
print(json.dumps([
    (one.metadata["Name"].lower().replace("_", "-"), one.version, size(one))
    for one in importlib.metadata.distributions()
]))
"""


class NotInstallable(Exception):
    """Says why, in the words of the installer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    python: Path
    #: Name to version of all that is in it.
    versions: dict[str, str]
    megabytes: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Installer:
    """Makes environments below a folder with uv, and keeps them for the next run."""

    uv: Path
    folder: Path

    def make(self, name: str, requires: Sequence[str]) -> Environment:
        """Brings one environment up to date.

        Raises:
            NotInstallable: something of it cannot be had.
        """
        home = self.folder / name
        python = home / "bin" / "python"
        # Who has the same requirements keeps what it has; ours is built anew, for its version says nothing.
        wanted = home / "wanted.json"
        local = any(Path(item).is_absolute() for item in requires)
        if local or not wanted.exists() or json.loads(wanted.read_text()) != list(requires):
            self.run("venv", "--clear", "--python", sys.executable, str(home))
            self.run(
                *("pip", "install", "--compile-bytecode", "--python", str(python)),
                *(("--reinstall-package", "wavegate", "--refresh-package", "wavegate") if local else ()),
                *requires,
            )
            wanted.write_text(json.dumps(list(requires)))
        return self.look(python)

    def run(self, *arguments: str) -> None:
        done = subprocess.run([self.uv, *arguments, "--quiet"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotInstallable(" ".join(done.stderr.split())[-300:] or f"uv ended with {done.returncode}")

    def look(self, python: Path) -> Environment:
        census: list[Any] = json.loads(subprocess.check_output([python, "-I", "-c", CENSUS], text=True))
        return Environment(
            python=python,
            versions={name: version for name, version, _ in census},
            megabytes=sum(size for _, _, size in census) / 1e6,
        )
