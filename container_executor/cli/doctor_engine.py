"""Whether the backend can be opened and its engine is as it should be, and the store of files likewise."""

from collections.abc import Iterator

from container_executor import registry
from container_executor.backend import Backend
from container_executor.cfs.errors import BucketMissingError, ObjectMissingError
from container_executor.cli.doctor_disk import check_directory
from container_executor.cli.doctor_report import Finding, fault, ok, warning
from container_executor.errors import ContainerExecutorError, SettingsError
from container_executor.models import Health
from container_executor.settings import Settings, StoreKind

STORE = "file store"
_NOBODY = "0" * 16


def check_engine(settings: Settings, *, dev: bool) -> Iterator[Finding]:
    """Yield what the backend says of its engine."""
    name = settings.backend
    try:
        backend = _open(settings, dev=dev)
    except SettingsError as error:
        for line in str(error).splitlines():
            yield fault(name, *_halves(line))
        return
    try:
        health = backend.probe()
    finally:
        backend.close()
    yield from _told(name, health)


def _open(settings: Settings, *, dev: bool) -> Backend:
    return registry.open_backend(
        settings.backend,
        owner=settings.executor.owner or _NOBODY,
        directory=settings.state_dir / settings.backend,
        dev=dev,
        settings=settings.backends.get(settings.backend, {}),
        origins=settings.backend_origins(settings.backend),
    )


def _halves(line: str) -> tuple[str, str]:
    """Return what is wrong and what to do; a missing package's line ends with the command that installs it."""
    why, found, fix = line.rpartition(": ") if ": pip install" in line else ("", "", "")
    return (
        (why, fix)
        if found
        else (line, "mend it in the configuration; `container-executor backends NAME` lists what there is")
    )


def _told(name: str, health: Health) -> Iterator[Finding]:
    for each in health.faults:
        if each.fatal:
            yield fault(name, each.what, each.fix)
        else:
            yield warning(name, each.what, each.fix)
    if health.reachable and not any(each.fatal for each in health.faults):
        yield ok(name, health.version or "it answers")


# --- the files of jobs ------------------------------------------------------------------------------------------------


def check_store(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with the file store, or that there is none."""
    cfs = settings.cfs
    if not (cfs.endpoint or cfs.folder):
        yield ok(STORE, "none is set; function specs with fs are refused")
        return
    problems = [*_directories(settings)] or [*_store_problem(settings)]
    yield from problems
    if not problems:
        yield ok(STORE, f"{cfs.folder}" if cfs.store is StoreKind.FOLDER else f"{cfs.endpoint}/{cfs.bucket} answers")


def _directories(settings: Settings) -> Iterator[Finding]:
    cfs = settings.cfs
    if cfs.fs_dir is not None:
        yield from check_directory("directories", cfs.fs_dir, "set cfs.fs_dir to another directory")
    if cfs.store is StoreKind.FOLDER and cfs.folder is not None:
        yield from check_directory(STORE, cfs.folder, "set cfs.folder to another directory")


def _store_problem(settings: Settings) -> Iterator[Finding]:
    """Yield why the store of the settings cannot be used. A folder needs no question; opening it would make it."""
    from container_executor.cfs.stores import open_store  # noqa: PLC0415 - a tenth of a second that only a store needs

    try:
        settings.require(*(("cfs.folder",) if settings.cfs.store is StoreKind.FOLDER else ()))
        if settings.cfs.store is StoreKind.FOLDER:
            return
        store = open_store(settings)
        next(store.read(store.new_key()), None)
    except BucketMissingError:
        yield warning(STORE, f"bucket {settings.cfs.bucket} is not there", "make it, or let the first upload make it")
    except ObjectMissingError:  # as it should be
        return
    except SettingsError as error:
        yield fault(STORE, str(error), "set it, or none of [cfs]")
    except ContainerExecutorError as error:
        yield fault(STORE, *_store_fix(str(error)))


def _store_fix(text: str) -> tuple[str, str]:
    why, _, fix = text.partition("; ")
    return why, fix or "see that the store runs, or set endpoint, bucket and tls in [cfs]"
