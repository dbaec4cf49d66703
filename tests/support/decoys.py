"""Places that nothing may touch, and what touched them nevertheless, as the kernel tells it (inotify(7))."""

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_ALL = 0xFFF
_EVENT = struct.Struct("iIII")
_WORDS = {
    0x001: "read", 0x002: "written", 0x004: "given other rights", 0x008: "closed after writing", 0x010: "closed",
    0x020: "opened", 0x040: "moved away", 0x080: "moved in", 0x100: "made", 0x200: "removed", 0x400: "removed",
    0x800: "moved",
}  # fmt: skip


class Decoys:
    """Watches directories, and each file in them by whatever name it is reached: opening, reading, writing, making, removing.

    Looking at names from outside, as ``lstat`` does, is no touching; nor does the kernel tell of it.
    """

    def __init__(self) -> None:
        self._queue = _LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._queue < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._places: dict[int, Path] = {}

    def watch(self, place: Path) -> None:
        """Watch a file, or a directory with all that is in it now."""
        for path in (place, *place.rglob("*")):
            number = _LIBC.inotify_add_watch(self._queue, os.fsencode(path), ctypes.c_uint32(_ALL))
            if number < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch", str(path))
            self._places[number] = path
        self.touched()

    def touched(self) -> set[str]:
        """Return what has happened since this was last asked, such as ``read secret``."""
        return {f"{word} {name}" for name, word in self._events()}

    def _events(self) -> Iterator[tuple[str, str]]:
        while data := self._read():
            while data:
                number, mask, _, length = _EVENT.unpack_from(data)
                name = data[_EVENT.size : _EVENT.size + length].rstrip(b"\0")
                data = data[_EVENT.size + length :]
                path = self._places[number] / os.fsdecode(name) if name else self._places[number]
                yield from ((path.name, word) for bit, word in _WORDS.items() if mask & bit)

    def _read(self) -> bytes:
        try:
            return os.read(self._queue, 65_536)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Watch no more."""
        os.close(self._queue)
