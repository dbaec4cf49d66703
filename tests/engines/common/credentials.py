"""Passwords and tokens of one life of an engine: made by chance, kept in its state folder, in no file of the project."""

import secrets
from pathlib import Path


def secret(state: Path, name: str) -> str:
    """Return the secret *name* of the engine in *state*, the same until the engine is down."""
    path = state / "secrets" / name
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(secrets.token_hex(16))
    return path.read_text()
