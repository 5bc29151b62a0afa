"""Becomes another program, which the kernel ends (SIGTERM) as soon as the thread that started it is gone.

Run as a script: `python -I launch.py PARENT_PID PROGRAM ARGUMENT...`. A step of its own, since a `preexec_fn`
may deadlock in a process with threads. Elsewhere than on Linux it only becomes the program.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)


def become(parent: int, program: list[str]) -> None:
    """Tie this process to `parent` and replace it by `program`.

    Raises OSError where the kernel refuses or the program can't be run; exits where the parent is gone.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM)) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit("the starting process is gone")
    os.execv(program[0], program)  # nosec B606  # noqa: S606  # replacing this process is the point


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2:])
