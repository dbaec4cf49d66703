"""The command that prints what a backend would send to its engine."""

from collections.abc import Sequence
from datetime import timedelta

import attrs
import click

from container_executor.backend import Backend
from container_executor.cli.output import write, write_json
from container_executor.cli.site import backend_option, json_option, state_dir_option, with_settings
from container_executor.cli.specs import read_specs, set_option, spec_arguments
from container_executor.execute.lease import GRACE, Lease
from container_executor.execute.staging.entries import entries_of, mounts_of
from container_executor.execute.staging.shared import site_directory
from container_executor.funcspec import FunctionSpec, Limits, make_job, substitute, validate
from container_executor.models import Mark, Mount, Plan
from container_executor.registry import open_backend
from container_executor.settings import Settings

_STAND_IN = "0" * 64
_NOBODY = "0" * 32


@click.command()
@spec_arguments
@set_option
@backend_option
@state_dir_option
@click.option("--dev", is_flag=True, help="As in development mode.")
@json_option
@with_settings
def render(settings: Settings, specs: Sequence[str], changes: Sequence[str], *, dev: bool, as_json: bool) -> None:
    """Print what a backend would send to its engine for a spec.

    Zeros stand for the ids; everything else is what the engine gets. The engine is not asked anything.
    """
    wanted = read_specs(specs, changes)
    settings.require("backend")
    backend = _open(settings, dev=dev)
    try:
        plans = [_plan(backend, spec, settings) for spec in wanted]
    finally:
        backend.close()
    if as_json:
        write_json([plan.request for plan in plans])
        return
    for plan in plans:
        write(plan.render())


def _open(settings: Settings, *, dev: bool) -> Backend:
    name = settings.backend
    return open_backend(
        name,
        owner=_NOBODY,
        directory=settings.state_dir / name,
        dev=dev,
        settings=settings.backends.get(name, {}),
        origins=settings.backend_origins(name),
    )


def _plan(backend: Backend, spec: FunctionSpec, settings: Settings) -> Plan:
    validate(spec, Limits(**attrs.asdict(settings.limits)))
    mark = Mark(owner=_NOBODY, colony=spec.conditions.colony or settings.server.colony, process_id=_STAND_IN)
    return backend.plan(make_job(spec, mark, grace=_grace(spec), mounts=_mounts(spec, settings)))


def _grace(spec: FunctionSpec) -> timedelta:
    if spec.maxexectime <= 0:
        return timedelta(seconds=GRACE)
    return timedelta(seconds=Lease(0.0, spec.maxexectime).grace)


def _mounts(spec: FunctionSpec, settings: Settings) -> tuple[Mount, ...]:
    fs = substitute(spec, _STAND_IN).fs
    if fs is None:
        return ()
    return mounts_of(site_directory(settings), fs.mount, entries_of(fs))
