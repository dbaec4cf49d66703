"""What a check of a site has found: one line each, with what was looked at, what was seen, and what mends it."""

import enum
import sys

import attrs
import click

from container_executor.cli.output import escape


class Level(enum.StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"  # jobs run, but something is lost or may fail later
    FAULT = "fault"  # the daemon does not start, takes no work, or is not safe


@attrs.frozen
class Finding:
    """What one check has found.

    Attributes:
        level: How bad it is.
        what: The part of the set-up that was looked at.
        why: What was seen.
        fix: What mends it, "" where nothing needs to be mended.
    """

    level: Level
    what: str
    why: str
    fix: str = ""


def ok(what: str, why: str) -> Finding:
    """Return that *what* is as it should be."""
    return Finding(Level.OK, what, why)


def warning(what: str, why: str, fix: str) -> Finding:
    """Return that *what* works, with a loss or a danger."""
    return Finding(Level.WARNING, what, why, fix)


def fault(what: str, why: str, fix: str) -> Finding:
    """Return that *what* is broken."""
    return Finding(Level.FAULT, what, why, fix)


_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.FAULT: "red"}


def write_finding(finding: Finding) -> None:
    """Write a finding on one line, its level in colour on a terminal."""
    level = f"{finding.level:<7}"
    shown = click.style(level, fg=_COLOURS[finding.level]) if sys.stdout.isatty() else level
    fix = f"  fix: {_flat(finding.fix)}" if finding.fix else ""
    click.echo(f"{shown}  {finding.what:<15}  {_flat(finding.why)}{fix}")
    sys.stdout.flush()


def _flat(text: str) -> str:
    return escape(" ".join(text.split()))
