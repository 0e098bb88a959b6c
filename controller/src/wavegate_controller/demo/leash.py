"""Becomes the command that it is given, but one that dies with the process that started it.

Run as a script: `python leash.py PARENT COMMAND...`. The kernel's parent-death signal outlives `exec`, so not even
`kill -9` of the parent leaves the command behind. Other systems than Linux have no such thing; there the parent's own
clean-up must do. It is a script of its own because `preexec_fn` is not safe in a process with threads. Start it from
the main thread: to the kernel, the parent is the thread.
"""

import contextlib
import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def main(parent: str, *command: str) -> None:
    """Ask for the signal, see that it is not too late for it, become the command."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):
            return
    os.execvp(command[0], command)  # noqa: S606 - no shell is meant


if __name__ == "__main__":
    main(*sys.argv[1:])
