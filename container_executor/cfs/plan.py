"""What a synchronisation will do: decided here, done elsewhere. Pure.

The union of both sides: what is on one side only is copied to the other, nothing is ever deleted, and what differs goes the way
that the policy says. Files are compared by name and content alone; sizes and times decide nothing.
"""

import enum
from collections.abc import Iterator, Mapping

import attrs

from container_executor.cfs.errors import LOST
from container_executor.cfs.remote import Refused, Remote, RemoteFile
from container_executor.cfs.scan import Listing, LocalFile, Oddity


class Policy(enum.StrEnum):
    """What happens to a file that differs on both sides."""

    KEEP_LOCAL = "keeplocal"  # it is uploaded as a new revision
    KEEP_REMOTE = "keepremote"  # it is replaced by the stored one


class Side(enum.Flag):
    """What a synchronisation may do with files that are on one side only, and with those that differ."""

    UPLOAD = enum.auto()
    DOWNLOAD = enum.auto()
    CONFLICTS = enum.auto()
    ALL = UPLOAD | DOWNLOAD | CONFLICTS


@attrs.frozen
class Plan:
    """What will be done. Every file is in one of these at most.

    Attributes:
        uploads: Files that only the directory has.
        downloads: Files that only the label has.
        conflicts: Files that differ, each side of them.
        policy: Which way conflicts go.
        unchanged: How many files are the same on both sides.
        refused: Records that cannot become files here.
        oddities: What lies in the directory and is not synchronised.
        unfinished: Downloads into the directory that are under way, or were cut off.
        left: Files that differ, or are on one side only, and are not touched because others may be using them.
    """

    uploads: tuple[LocalFile, ...]
    downloads: tuple[RemoteFile, ...]
    conflicts: tuple[tuple[LocalFile, RemoteFile], ...]
    policy: Policy
    unchanged: int = 0
    refused: tuple[Refused, ...] = ()
    oddities: tuple[Oddity, ...] = ()
    unfinished: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def to_upload(self) -> tuple[LocalFile, ...]:
        """Every file whose content goes to the store."""
        kept = tuple(local for local, _ in self.conflicts) if self.policy is Policy.KEEP_LOCAL else ()
        return self.uploads + kept

    @property
    def to_download(self) -> tuple[RemoteFile, ...]:
        """Every file whose content comes from the store."""
        kept = tuple(remote for _, remote in self.conflicts) if self.policy is Policy.KEEP_REMOTE else ()
        return self.downloads + kept

    @property
    def empty(self) -> bool:
        """True where nothing is to be done."""
        return not (self.uploads or self.downloads or self.conflicts)

    @property
    def bytes(self) -> int:
        """How much content will be moved."""
        return sum(file.size for file in self.to_upload) + sum(file.size for file in self.to_download)


def to_hash(local: Listing, remote: Remote) -> Iterator[LocalFile]:
    """Yield the files whose content must be known: those that both sides have, with the same size."""
    for path, file in local.files.items():
        other = remote.files.get(path)
        if other is not None and other.size == file.size and not file.checksum:
            yield file


def make_plan(local: Listing, remote: Remote, policy: Policy, sides: Side = Side.ALL) -> Plan:
    """Compare both sides. Files that :func:`to_hash` names have been hashed.

    Args:
        local: The directory.
        remote: The label.
        policy: Which way conflicts go.
        sides: What may be done; the rest is listed as left.
    """
    local = _without_lost(local, remote)
    both = local.files.keys() & remote.files.keys()
    differ = sorted(path for path in both if local.files[path].checksum != remote.files[path].checksum)
    downloads, refused = _downloads(local, remote)
    uploads, clashing = _uploads(local, remote)
    plan = Plan(
        uploads=uploads,
        downloads=downloads,
        conflicts=tuple((local.files[path], remote.files[path]) for path in differ),
        policy=policy,
        unchanged=len(both) - len(differ),
        refused=(*remote.refused, *refused),
        oddities=(*local.oddities, *clashing),
        unfinished=local.unfinished,
    )
    return _restricted(plan, sides)


def _without_lost(local: Listing, remote: Remote) -> Listing:
    """Return the listing without the files whose content is lost: what the store has of them comes down again."""
    lost = sorted(path for path, file in local.files.items() if file.lost)
    gone = (Oddity(path, LOST) for path in lost if path not in remote.files)
    files = {path: file for path, file in local.files.items() if not file.lost}
    return attrs.evolve(local, files=files, oddities=(*local.oddities, *gone)) if lost else local


def _downloads(local: Listing, remote: Remote) -> tuple[tuple[RemoteFile, ...], list[Refused]]:
    """Return the files that only the label has, and those for which something else is in the way."""
    directories = {*local.directories, *(odd.path for odd in local.oddities if odd.directory)}
    files, refused = [], []
    for path in sorted(remote.files.keys() - local.files.keys()):
        above = next((part for part in _above(path) if part in local.files or part in remote.files), "")
        if path in directories:
            refused.append(_refusal(path, "a directory of that name is in its place"))
        elif above:
            refused.append(_refusal(path, f"the file {above!r} is where its directory would be"))
        else:
            files.append(remote.files[path])
    return tuple(files), refused


def _uploads(local: Listing, remote: Remote) -> tuple[tuple[LocalFile, ...], list[Oddity]]:
    """Return the files that only the directory has, and those whose place in the label is taken."""
    labels = {part for path in remote.files for part in _above(path)}
    files, clashing = [], []
    for path in sorted(local.files.keys() - remote.files.keys()):
        above = next((part for part in _above(path) if part in remote.files), "")
        if path in labels:
            clashing.append(Oddity(path, "the store has a directory of that name", content=True))
        elif above:
            clashing.append(Oddity(path, f"the store has a file {above!r} where its directory would be", content=True))
        else:
            files.append(local.files[path])
    return tuple(files), clashing


def _above(path: str) -> Iterator[str]:
    """Yield the paths of the directories that *path* lies in."""
    end = path.find("/")
    while end >= 0:
        yield path[:end]
        end = path.find("/", end + 1)


def _refusal(path: str, reason: str) -> Refused:
    label, _, name = path.rpartition("/")
    return Refused(label, name, reason)


def _restricted(plan: Plan, sides: Side) -> Plan:
    left = [file.path for file in plan.uploads if Side.UPLOAD not in sides]
    left += [file.path for file in plan.downloads if Side.DOWNLOAD not in sides]
    left += [local.path for local, _ in plan.conflicts if Side.CONFLICTS not in sides]
    return attrs.evolve(
        plan,
        uploads=plan.uploads if Side.UPLOAD in sides else (),
        downloads=plan.downloads if Side.DOWNLOAD in sides else (),
        conflicts=plan.conflicts if Side.CONFLICTS in sides else (),
        left=tuple(sorted(left)),
    )


def path_map(plan: Plan) -> Mapping[str, str]:
    """Return what will happen to each file, in words, by its path."""
    words = {file.path: "upload" for file in plan.uploads}
    words |= {file.path: "download" for file in plan.downloads}
    kept = (
        "upload, replacing the stored one" if plan.policy is Policy.KEEP_LOCAL else "download, replacing the local one"
    )
    words |= {local.path: kept for local, _ in plan.conflicts}
    return dict(sorted(words.items()))
