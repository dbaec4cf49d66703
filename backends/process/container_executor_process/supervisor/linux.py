"""The system calls that the standard library of Python 3.11 lacks."""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

# options of prctl(2)
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

# flags of unshare(2)
NEW_MOUNTS = 0x00020000
NEW_USER = 0x10000000

# flags of mount(2) and umount2(2)
READ_ONLY = 1
REMOUNT = 32
BIND = 4096
RECURSIVE = 16384
PRIVATE = 1 << 18
DETACH = 2


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def adopt_orphans() -> None:
    """Make this program the parent of every descendant whose own parent ends."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "adopt orphans")


def signal_on_parent_death(number: int) -> None:
    """Have the kernel send this program a signal when its parent ends."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0), "follow the parent")


def unshare(flags: int) -> None:
    """Give this program namespaces of its own."""
    _check(_libc.unshare(flags), "make a private namespace")


def mount(source: str, target: str, flags: int, *, kind: str = "", options: str = "") -> None:
    """Mount *source* at *target*."""
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode()
    )
    _check(result, f"mount {target}")


def enter_root(path: str) -> None:
    """Make the mount at *path* the root of this program's mount namespace and let go of the former one."""
    os.chdir(path)
    _check(_libc.pivot_root(b".", b"."), "change the root")  # both names may be one (pivot_root(2), Notes)
    _check(_libc.umount2(b".", DETACH), "leave the former root")
    os.chdir("/")
