"""Becomes the command that it is given, as another user and dying with the process that started it.

Run as a script: `python leash_as.py PARENT UID GID COMMAND...`. As `wavegate_controller.demo.leash`, but it gives up
root's rights first, since that forgets the parent-death signal, and the signal is PostgreSQL's for an orderly stop.
"""

import contextlib
import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: str, uid: str, gid: str, *command: str) -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != int(parent):
            return
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
