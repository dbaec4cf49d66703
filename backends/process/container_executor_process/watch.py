"""Word from the supervisors: the attributes of a job's directory change when a rank has ended."""

import ctypes
import os
import select
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

_libc = ctypes.CDLL(None, use_errno=True)

_IN_ATTRIB = 0x4  # inotify(7), sys/inotify.h
_IN_CLOEXEC = os.O_CLOEXEC
_EVENT = struct.Struct("iIII")
"""``struct inotify_event``: watch, mask, cookie, length of the name that follows."""

_LOOK_SECONDS = 0.25
"""How long it takes at most to see that nobody wants to know any more."""


def watch(directory: Path, wake: Callable[[str], None], stop: Event) -> None:
    """Call *wake* with the name of each entry of *directory* whose attributes change, until *stop* is set.

    Raises:
        OSError: This user may not watch any more directories.
    """
    inotify = _checked(_libc.inotify_init1(_IN_CLOEXEC))
    try:
        _checked(_libc.inotify_add_watch(inotify, os.fsencode(directory), _IN_ATTRIB))
        poller = select.poll()
        poller.register(inotify, select.POLLIN)
        while not stop.is_set():
            if poller.poll(_LOOK_SECONDS * 1000):
                for name in sorted(set(_names(os.read(inotify, 65_536)))):
                    wake(name)
    finally:
        os.close(inotify)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _names(events: bytes) -> Iterator[str]:
    position = 0
    while position < len(events):
        _, _, _, length = _EVENT.unpack_from(events, position)
        position += _EVENT.size + length
        name = events[position - length : position].rstrip(b"\0")
        if name:
            yield os.fsdecode(name)
