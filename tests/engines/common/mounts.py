"""Mounts that an engine made below its state folder."""

import re
import subprocess
from pathlib import Path


def unmount_below(folder: Path) -> None:
    """Unmount everything below *folder*, the newest first; busy ones go when their last user does."""
    for path in reversed(_below(folder)):
        subprocess.run(["umount", "--lazy", path], check=False, capture_output=True)


def _below(folder: Path) -> list[str]:
    """Return the mount points below *folder* in the order of mounting (proc(5): blanks are written in octal)."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    plain = [re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), point) for point in points]
    return [point for point in plain if point.startswith(f"{folder}/")]
