"""A page's blocks of shell, typed as they stand into one bash, in an empty directory that looks like a checkout."""

import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from itertools import count
from pathlib import Path

from support.live_controller import environment
from wavegate_controller.demo.processes import free_port

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
#: The servers of a page; 5000 and so on are apps'.
_PORT = re.compile(r"(?<=[:= ])(8080|5\d{3}|9090)\b")


class Terminal:
    """Types the blocks of an example's README; whatever they start ends with it."""

    def __init__(self, example: str, directory: Path) -> None:
        """Nothing runs yet.

        Args:
            example: name of a directory of `examples/`.
            directory: an empty one, which stands for the checkout and for /tmp.
        """
        self._ports: dict[str, int] = {}
        self._directory = directory
        self._log = directory / "log.txt"
        self._marks = count(1)
        copy = directory / "examples" / example
        shutil.copytree(ROOT / "examples" / example, copy, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
        for file in copy.rglob("*"):
            if file.is_file():
                file.write_text(self._here(file.read_text(encoding="utf-8")), encoding="utf-8")
        for each in (".venv", ".tools"):
            (directory / each).symlink_to(ROOT / each)
        self.blocks = _BLOCK.findall((copy / "README.md").read_text(encoding="utf-8"))
        # As people have it: stages and all.
        self._environment = {name: value for name, value in environment().items() if name != "WAVEGATE_STAGES"} | {
            "WAVEGATE_PORT": str(self._port("8080")),
        }

    def __enter__(self):
        with self._log.open("w") as log:
            # A group of its own, so that all that it starts can be ended with it.
            self._bash = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-e"],
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_):
        with self._bash:
            # As the pages say; and should it have ended early, or they hang, all that is left.
            with suppress(subprocess.TimeoutExpired, BrokenPipeError):
                self._bash.communicate("kill $(jobs -p) || true; wait\n", timeout=20)
            with suppress(ProcessLookupError):
                os.killpg(self._bash.pid, signal.SIGKILL)

    def type(self, block: str) -> str:
        """What the block prints; each of its commands must end well."""
        mark = f"--- block {next(self._marks)} is done"
        self._bash.stdin.write(f"{block}\necho; echo '{mark}'\n")
        self._bash.stdin.flush()
        printed = []
        for line in self._bash.stdout:
            if line.rstrip() == mark:
                return "".join(printed)
            printed.append(line)
        raise AssertionError(f"{block}\nended early: {''.join(printed)}{self._log.read_text()}")

    def _here(self, text: str) -> str:
        """With free ports, and the directory for /tmp."""
        return _PORT.sub(lambda found: str(self._port(found[0])), text).replace("/tmp/", f"{self._directory}/")

    def _port(self, written: str) -> int:
        return self._ports.setdefault(written, free_port())
