"""The command that looks at a site and names what is wrong with it."""

from collections.abc import Iterator

import click

from container_executor.cli.doctor_python import check_python
from container_executor.cli.doctor_report import Finding, Level, write_finding
from container_executor.cli.output import write_json
from container_executor.cli.site import backend_option, json_option, state_dir_option, with_examined
from container_executor.settings import Examined

BROKEN = 78
"""The exit code where something is broken: sysexits(3), EX_CONFIG."""


@click.command()
@backend_option
@state_dir_option
@click.option("--dev", is_flag=True, help="Check what `run --dev` needs, with its embedded server, instead of a site.")
@json_option
@with_examined
def doctor(found: Examined, *, dev: bool, as_json: bool) -> None:
    """Look at this site, and name what is wrong with it and what mends it.

    Each line is one finding: ok, warning or fault, what was looked at, what was seen, and the fix. Nothing is changed, and a
    running daemon is not disturbed. Run it as the user that the daemon runs as. The exit code is 0 unless there is a fault.
    """
    findings = []
    for finding in _findings(found, dev=dev):
        findings.append(finding)
        if not as_json:
            write_finding(finding)
    if as_json:
        write_json(findings)
    broken = any(finding.level is Level.FAULT for finding in findings)
    click.get_current_context().exit(BROKEN if broken else 0)


def _findings(found: Examined, *, dev: bool) -> Iterator[Finding]:
    broken = False
    for finding in check_python():
        broken = broken or finding.level is Level.FAULT
        yield finding
    if broken:
        return
    from container_executor.cli.doctor_checks import check_site  # noqa: PLC0415 - it needs the packages just looked at

    yield from check_site(found, dev=dev)
