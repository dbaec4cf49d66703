"""What an engine says: progress on stderr, the tests' environment lines on stdout, failures as one sentence."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn


class EngineError(Exception):
    """An engine could not be brought up or down; the text says what to do."""


def say(text: str) -> None:
    """Print one line of progress."""
    print(text, file=sys.stderr, flush=True)


def keep_lines(state: Path, values: Mapping[str, object]) -> None:
    """Keep *values* as the sign that the engine in *state* is up, and for whoever asks later."""
    partial = state / "env.partial"
    partial.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    partial.rename(state / "env")


def print_lines(state: Path) -> None:
    """Print the environment lines that `keep_lines` kept."""
    sys.stdout.write((state / "env").read_text())


def run(main: Callable[[], None]) -> NoReturn:
    """Call *main* and exit: 0, or 1 after one sentence on stderr."""
    try:
        main()
    except EngineError as error:
        sys.exit(f"{Path(sys.argv[0]).resolve().parent.name}: {error}")
    sys.exit(0)
