"""The checks of a site in the order in which they make sense: what a later one needs, an earlier one has looked at."""

import os
import socket
from collections.abc import Iterator

import attrs

from container_executor.cli.config_problems import problems_of
from container_executor.cli.dev import dev_store
from container_executor.cli.doctor_dev import check_embedded
from container_executor.cli.doctor_disk import check_state
from container_executor.cli.doctor_engine import check_engine, check_store
from container_executor.cli.doctor_keys import check_keys
from container_executor.cli.doctor_report import Finding, fault, ok, warning
from container_executor.cli.doctor_server import check_server
from container_executor.errors import SettingsError
from container_executor.execute.lock import holder
from container_executor.settings import Examined, Settings

SETTINGS = "settings"


def check_site(found: Examined, *, dev: bool) -> Iterator[Finding]:
    """Yield what every check finds; where the settings are wrong, none that builds on them is made."""
    settings = found.settings
    for each in settings.warnings:
        yield warning(SETTINGS, each, "remove it, or correct its name")
    problems = [
        *found.problems,
        *problems_of(settings),
        *_missing(settings, dev=dev),
    ]
    for problem in problems:
        yield fault(SETTINGS, problem, "correct it; `container-executor config check` shows what counts")
    if problems:
        return
    yield ok(SETTINGS, str(found.file or "no file; defaults, variables and flags"))
    yield from _dev(settings) if dev else _site(settings)


def _missing(settings: Settings, *, dev: bool) -> list[str]:
    try:
        settings.require("backend", *(() if dev else ("server.colony",)))
    except SettingsError as error:
        return str(error).splitlines()
    return []


def _site(settings: Settings) -> Iterator[Finding]:
    yield from check_keys(settings)
    yield from check_state(settings.state_dir)
    yield from _health_port(settings)
    yield from check_server(settings)
    yield from check_store(settings)
    yield from check_engine(settings, dev=False)


def _dev(settings: Settings) -> Iterator[Finding]:
    yield from check_state(settings.state_dir)
    yield from check_embedded(settings)
    yield from check_store(attrs.evolve(settings, cfs=dev_store(settings)))
    yield from check_engine(settings, dev=True)


def _health_port(settings: Settings) -> Iterator[Finding]:
    port = settings.executor.health_port
    if not port or holder(settings.state_dir):
        return
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        why = (
            f"cannot listen on port {port}: {os.strerror(error.errno or 0)}; there would be no /healthz and no /metrics"
        )
        yield warning("health port", why, "set executor.health_port to a free port, or to 0")
