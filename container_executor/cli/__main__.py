"""Runs the command line as ``python -m container_executor.cli``."""

from container_executor.cli import main

main()
