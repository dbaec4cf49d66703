"""The command line. Each module is one group of commands: parse, build, call, print; what is worth testing lies below them."""

import threading

from container_executor.cli.program import leave, program


def main() -> None:
    """Run the program with the arguments it was started with, and exit with its code."""
    try:
        program.main(prog_name="container-executor")
    except SystemExit as end:
        if isinstance(end.code, int) and threading.active_count() > 1:  # what those are at has been given up
            leave(end.code)
        raise
