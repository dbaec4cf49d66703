"""The command line. Each module is one group of commands: parse, build, call, print; what is worth testing lies below them."""

from typing import NoReturn

from container_executor.cli.program import leave, program


def main() -> NoReturn:
    """Run the program with the arguments it was started with, and exit with its code."""
    try:
        program.main(prog_name="container-executor")
    except SystemExit as end:
        leave(int(end.code or 0))
