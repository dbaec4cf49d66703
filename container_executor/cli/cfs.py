"""The group of the commands about the file system: directories of this machine and labels of the colony."""

import click

from container_executor.cli.lazy import LazyGroup

COMMANDS = {
    "sync": "Make a directory and a label the union of both.",
    "ls": "List the files under LABEL, and the labels below it; without LABEL, all labels.",
    "get": "Fetch one file to DESTINATION, a file or a directory.",
    "put": "Store files under LABEL, each as a new revision unless it is the same already.",
    "rm": "Remove files from the colony: the records and contents of all their revisions.",
    "snapshot": "Make, list, fetch and remove snapshots of labels.",
    "gc": "List, or remove, contents in the object store that no record names.",
    "remains": "List, or remove, what jobs left in directories of this site and what may be stored nowhere else.",
}
"""Every command with the first sentence of its help."""

_MODULES = {
    "sync": "cfs_sync",
    "ls": "cfs_files",
    "get": "cfs_files",
    "put": "cfs_files",
    "rm": "cfs_files",
    "snapshot": "cfs_snapshots",
    "gc": "cfs_gc",
    "remains": "cfs_remains",
}


@click.group(cls=LazyGroup, lines=COMMANDS, modules=_MODULES)
def cfs() -> None:
    """Bring directories and labels of the file system together.

    A label is a path such as /results/run1 under which a colony keeps files; their contents are in the site's object store.
    """
