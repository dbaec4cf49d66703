"""Deleting what a job left, which may be anything a program can make.

No symbolic link is followed and nothing that is mounted is entered: a directory is emptied by moving the directories in it
next to it, which the kernel refuses for links' targets, other file systems and mount points alike. It takes no recursion,
so that no depth is too deep.
"""

import os
import stat
from pathlib import Path


def delete_tree(directory: Path) -> None:
    """Delete *directory* and all that is in it.

    Raises:
        OSError: Something in it cannot be deleted; the rest is gone.
    """
    trouble: OSError | None = None
    heap = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        moved = 0
        while names := [name for name in os.listdir(heap) if _is_directory(heap, name)]:
            count, trouble = _flatten(heap, names, moved)
            moved += count
            if trouble:
                raise trouble
        _unlink_files(heap)
    finally:
        os.close(heap)
    os.rmdir(directory)


def _flatten(heap: int, names: list[str], moved: int) -> tuple[int, OSError | None]:
    """Empty the directories *names* of *heap*: their directories move up into it under fresh names."""
    count, trouble = 0, None
    for name in names:
        try:
            inner = _open_for_change(heap, name)
        except OSError as error:
            trouble = error
            continue
        try:
            for entry in os.listdir(inner):
                if _is_directory(inner, entry):
                    _open_and_close(inner, entry)
                    os.rename(entry, f".moved-{moved + count}", src_dir_fd=inner, dst_dir_fd=heap)
                    count += 1
                else:
                    os.unlink(entry, dir_fd=inner)
            os.rmdir(name, dir_fd=heap)
        except OSError as error:
            trouble = error
        finally:
            os.close(inner)
    return count, trouble


def _open_and_close(parent: int, name: str) -> None:
    """Make a directory writable, as it must be to be moved."""
    os.close(_open_for_change(parent, name))


def _open_for_change(parent: int, name: str) -> int:
    """Open a directory, whatever its mode was, so that its entries can be read and deleted."""
    place = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{place}", 0o700)
        return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(place)


def _unlink_files(heap: int) -> None:
    for name in os.listdir(heap):
        os.unlink(name, dir_fd=heap)


def _is_directory(parent: int, name: str) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
