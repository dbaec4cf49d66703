"""Where the engines keep things: a cache that outlives them and one state folder each that does not."""

import contextlib
import os
import shutil
from pathlib import Path

ENGINES = Path(__file__).resolve().parents[1]


def cache() -> Path:
    """Return the folder of downloads and builds, made if missing; git ignores all in it."""
    folder = Path(os.environ.get("CE_ENGINES_CACHE") or ENGINES.parents[1] / ".cache" / "engines").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    return folder


def states() -> Path:
    """Return the folder of all engines' state; it need not exist."""
    return Path(os.environ.get("CE_ENGINES_STATE") or "/run/container-executor-engines")


def state(engine: str) -> Path:
    """Return the state folder of *engine*; it exists while the engine is up."""
    return states() / engine


def make_state(engine: str) -> Path:
    """Make the state folder of *engine*, closed to other users' listing, and return it."""
    folder = state(engine)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)
    return folder


def lend(state: Path, folder: Path) -> None:
    """Make *folder* of the machine, and those above it, where they are missing; `take_back` removes what this made."""
    with (state / "lent-folders").open("a") as lent:
        for path in reversed([folder, *folder.parents]):
            if not path.exists():
                path.mkdir()
                lent.write(f"{path}\n")


def take_back(state: Path) -> None:
    """Remove the folders that `lend` made, unless someone uses them by now."""
    lent = state / "lent-folders"
    for line in reversed(lent.read_text().splitlines() if lent.exists() else []):
        with contextlib.suppress(OSError):
            Path(line).rmdir()


def forget(engine: str) -> None:
    """Remove the state folder of *engine*, and the folder above once it is empty."""
    shutil.rmtree(state(engine), ignore_errors=True)
    if states().is_dir() and not any(states().iterdir()):
        states().rmdir()
