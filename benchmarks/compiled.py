"""Compiles our modules, as pip does when it installs them.

A clone that is installed as it is has none compiled where Python is told to write no bytecode (``PYTHONDONTWRITEBYTECODE``): then every
start compiles them, which took a third of it here.
"""

import compileall
from pathlib import Path

ROOT = Path(__file__).parents[1]


def compile_all() -> None:
    """Compile what is not compiled yet."""
    for place in ("container_executor", "backends"):
        compileall.compile_dir(ROOT / place, quiet=1)
