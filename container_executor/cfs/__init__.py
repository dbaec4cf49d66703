"""The Colonies file system: directories of a site and labels of a colony, brought together by content.

A server keeps records (label, name, size, checksum); the contents are in an object store. :class:`Syncer` brings both sides
together; everything that it is told to do it looks at first and returns as a :class:`Plan`. :mod:`container_executor.cfs.stores` opens the store.
"""

from container_executor.cfs.batch import Progress
from container_executor.cfs.errors import CfsError, DiskError, PathError, StoreError, SyncError
from container_executor.cfs.hashes import Hashes
from container_executor.cfs.names import normal_label
from container_executor.cfs.plan import Plan, Policy, Side
from container_executor.cfs.sync import Syncer
from container_executor.cfs.tree import Tree

__all__ = [
    "CfsError",
    "DiskError",
    "Hashes",
    "PathError",
    "Plan",
    "Policy",
    "Progress",
    "Side",
    "StoreError",
    "SyncError",
    "Syncer",
    "Tree",
    "normal_label",
]
