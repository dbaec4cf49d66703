"""The command line. Each module is one group of commands: parse, build, call, print; what is worth testing lies below them."""

from container_executor.cli.program import program


def main() -> None:
    """Run the program with the arguments it was started with, and exit with its code."""
    program.main(prog_name="container-executor")
