"""Labels and names: their one form, and which of them can be files and directories here."""

import re

from container_executor.cfs.errors import PathError

LONGEST_NAME = 255
"""Bytes of a name in a directory (NAME_MAX, limits.h)."""
LONGEST_LABEL = 2000
"""Bytes of a label; the index of the Colonies server takes no more than some thousand."""
PARTIAL = ".ce-partial-"
"""Begins the name of a file that is being downloaded."""
MARKER = ".cfs"
"""Name of the file in which the official command line keeps a directory's label; never synchronised."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def normal_label(text: str) -> str:
    """Return the one form of a label that a user wrote: one "/" before each part, none at the end; "/" is the root.

    Raises:
        PathError: It has a part "..", or a character that no label can have.
    """
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in text or _SURROGATE.search(text):
        raise PathError(f"{text!r} is no label: no part may be .., and all of it must be UTF-8 without NUL")
    if len(text.encode()) > LONGEST_LABEL:
        raise PathError(f"the label {text[:40]!r}... has more than {LONGEST_LABEL} bytes")
    return "/" + "/".join(parts)


def parts_below(label: str, root: str) -> tuple[str, ...] | None:
    """Return the parts of *label* below *root*, () for the root itself, None where it lies elsewhere.

    Labels are compared as texts, because the server's own search takes "_" and "%" for wildcards.
    """
    if label == root:
        return ()
    top = root.rstrip("/") + "/"
    return tuple(label[len(top) :].split("/")) if label.startswith(top) and len(label) > len(top) else None


def join_label(root: str, *parts: str) -> str:
    """Return the label of a directory below *root*."""
    return "/".join([root.rstrip("/"), *parts]) or "/"


def why_refused(name: str) -> str:
    """Return why *name* cannot be a file or directory of a synchronised tree, "" where it can."""
    if name in ("", ".", ".."):
        return f"{name!r} is no name of a file"
    if "/" in name or "\0" in name:
        return f"{name!r} has a slash or a NUL in it"
    if _SURROGATE.search(name):
        return f"{name!r} is not UTF-8"
    if len(name.encode()) > LONGEST_NAME:
        return f"{name[:40]!r}... has more than {LONGEST_NAME} bytes"
    if name.startswith(PARTIAL):
        return f"{name!r} is how unfinished downloads are called"
    return ""
