"""Directories at other places: a mount namespace of a rank's own, in which the host itself is left as it is.

A target that the host does not have cannot be made there. Instead its nearest directory that exists is covered, for the
rank alone, by an empty one in memory into which everything that it holds is mounted again; the missing directories are made
in that.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Sequence

from . import linux
from .layout import Bind

_EVERYTHING = linux.BIND | linux.RECURSIVE

_KEPT = {
    os.ST_NOSUID: 2,
    os.ST_NODEV: 4,
    os.ST_NOEXEC: 8,
    os.ST_NOATIME: 1024,
    os.ST_NODIRATIME: 2048,
    os.ST_RELATIME: 1 << 21,
}
"""Flags of statvfs(3) and of mount(2): a remount in a user namespace must not drop any (mount_namespaces(7))."""


def enter_namespace() -> None:
    """Give this program mounts of its own; one that may not do so gets users of its own first.

    Raises:
        OSError: This host forbids it.
    """
    try:
        linux.unshare(linux.NEW_MOUNTS)
    except PermissionError:
        user, group = os.geteuid(), os.getegid()
        linux.unshare(linux.NEW_USER | linux.NEW_MOUNTS)
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # user_namespaces(7)
                file.write(text)
    linux.mount("none", "/", linux.RECURSIVE | linux.PRIVATE)


def show(binds: Sequence[Bind], spare: str) -> None:
    """Show this program each directory at its target, in a namespace of its own.

    Args:
        binds: Parents before children.
        spare: A directory that may be mounted on.

    Raises:
        OSError: A directory is not there, or this host forbids it.
    """
    enter_namespace()
    places = [bind._replace(target=os.path.realpath(bind.target)) for bind in binds]
    memory: set[int] = set()
    if any(_nearest(place.target) == "/" for place in places):
        memory.add(_cover("/", spare))
        linux.enter_root(spare)
    for number, place in enumerate(places):
        _make_target(place.target, places[:number], memory)
        _bind(place)
    for place in places:
        if place.read_only:
            _forbid_writing(place.target)


def _nearest(path: str) -> str:
    """Return the nearest directory on the way to *path* that exists."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _make_target(target: str, former: Sequence[Bind], memory: set[int]) -> None:
    """Have *target* exist: in a directory that is mounted for this job, or in *memory*, the devices of the covers."""
    nearest = _nearest(target)
    if nearest == target:
        return
    outer = next((bind for bind in reversed(former) if _is_below(nearest, bind.target)), None)
    if outer is not None:
        os.makedirs(os.path.join(outer.source, os.path.relpath(target, outer.target)), exist_ok=True)
        return
    if os.stat(nearest).st_dev not in memory:
        memory.add(_cover(nearest, nearest))
    os.makedirs(target, mode=0o755)


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top + "/")


def _cover(directory: str, at: str) -> int:
    """Mount memory on *at* that shows all that *directory* holds, and return its device."""
    held = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        beneath = f"/proc/self/fd/{held}"
        names = os.listdir(beneath)
        linux.mount("tmpfs", at, 0, kind="tmpfs", options="mode=755,size=1m,nr_inodes=64k")
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # somebody deleted it meanwhile
                _show_again(os.path.join(beneath, name), os.path.join(at, name))
        return os.stat(at).st_dev
    finally:
        os.close(held)


def _show_again(source: str, place: str) -> None:
    mode = os.lstat(source).st_mode
    if stat.S_ISLNK(mode):
        os.symlink(os.readlink(source), place)
        return
    if stat.S_ISDIR(mode):
        os.mkdir(place)
    else:
        os.close(os.open(place, os.O_CREAT | os.O_CLOEXEC, 0o600))
    linux.mount(source, place, _EVERYTHING)


def _bind(bind: Bind) -> None:
    """Mount a directory, which is opened first: no link that takes its place is followed."""
    try:
        held = os.open(bind.source, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise OSError(error.errno, f"mount {bind.source}: {os.strerror(error.errno or errno.EINVAL)}") from None
    try:
        linux.mount(f"/proc/self/fd/{held}", bind.target, _EVERYTHING)
    finally:
        os.close(held)


def _forbid_writing(target: str) -> None:
    present = os.statvfs(target).f_flag
    kept = sum(flag for shown, flag in _KEPT.items() if present & shown)
    linux.mount("none", target, linux.REMOUNT | linux.BIND | linux.READ_ONLY | kept)


def trial() -> None:
    """Print why this user may not have mounts of its own on this host; nothing where it may."""
    try:
        enter_namespace()
        linux.mount("tmpfs", "/tmp", 0, kind="tmpfs")  # noqa: S108 - seen by this program alone
    except OSError as error:
        print(error.strerror)  # noqa: T201 - read by the daemon
