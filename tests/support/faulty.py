"""Engines that a test can make lose replies, refuse, hang or lie, as a daemon of the tests reaches them."""

import abc
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import attrs
from anyio.from_thread import BlockingPortal
from sites import SiteOfTests, site_of
from wire import LOSSES, Fault, Upstream, Wire


class FaultyEngine(abc.ABC):
    """An engine between which and the daemon there is something that a test can break.

    Attributes:
        records: A job's end is known from files that this does not touch.
    """

    site: SiteOfTests
    records: ClassVar[bool] = False

    @property
    def variables(self) -> Mapping[str, str]:
        """What the daemon's environment needs besides."""
        return {}

    @abc.abstractmethod
    def lose_replies(self, jobs: int) -> None:
        """Do something to the call that makes a job, for so many jobs; most are made, and the answer does not arrive."""

    @abc.abstractmethod
    def made(self) -> int:
        """Return how many jobs the engine really made."""

    @abc.abstractmethod
    def fall_silent(self, how: str) -> None:
        """Answer no question any more: with ``errors``, ``resets`` or ``lies``, or because it ``hangs``."""

    @abc.abstractmethod
    def mend(self) -> None:
        """Be as it should."""


@attrs.define(eq=False)
class OverHttp(FaultyEngine):
    """An engine that is asked over HTTP, behind a :class:`Wire`.

    Attributes:
        site: How a daemon reaches it.
        wire: What stands between.
        create: The calls that make an object.
        start: The calls that start it, "" where there are none.
        logs: The calls that bring output.
    """

    site: SiteOfTests
    wire: Wire
    create: str
    logs: str
    start: str = ""

    def lose_replies(self, jobs: int) -> None:
        faults = [LOSSES[number % len(LOSSES)] for number in range(jobs)]
        self.wire.harm(self.create, *faults)
        if self.start:
            self.wire.harm(self.start, *faults)

    def made(self) -> int:
        return self.wire.count(self.create, 201)

    def fall_silent(self, how: str) -> None:
        self.wire.always("", {"errors": Fault.FAIL, "resets": Fault.LOSE_CALL, "hangs": Fault.SILENT}[how])
        self.wire.reset()

    def mend(self) -> None:
        self.wire.mend()
        self.wire.reset()


@attrs.define(eq=False)
class OverCommands(FaultyEngine):
    """Slurm, whose commands are shell lines in a folder of their own: ``$real`` is the real command."""

    site: SiteOfTests
    folder: Path
    records: ClassVar[bool] = True

    def lose_replies(self, jobs: int) -> None:
        """Have sbatch carry each submission out, then end with 1 and print nothing."""
        self.put("sbatch", f'echo >> {self.folder}/made; "$real" "$@" > /dev/null; exit 1')

    def made(self) -> int:
        return len((self.folder / "made").read_text().splitlines())

    def fall_silent(self, how: str) -> None:
        line = {"errors": "echo no controller >&2; exit 1", "lies": "exit 0", "hangs": "exec sleep 60"}[how]
        for name in ("squeue", "sacct"):
            self.put(name, line)

    def mend(self) -> None:
        for line in self.folder.glob("*.fault"):
            line.unlink()

    def put(self, name: str, line: str) -> None:
        """Have a command run a shell line from now on."""
        fresh = self.folder / f"{name}.new"
        fresh.write_text(line)
        fresh.replace(self.folder / f"{name}.fault")


@attrs.define(eq=False)
class InTheDaemon(FaultyEngine):
    """The process backend, which has no connection that could break: the daemon's own calls are harmed (``CE_FAULTY``)."""

    site: SiteOfTests
    folder: Path

    @property
    def variables(self) -> Mapping[str, str]:
        return {"CE_FAULTY": str(self.folder)}

    def lose_replies(self, jobs: int) -> None:
        (self.folder / "lossy").touch()

    def made(self) -> int:
        return len(list((self.folder / "made").iterdir()))

    def fall_silent(self, how: str) -> None:
        (self.folder / "silent").touch()

    def mend(self) -> None:
        (self.folder / "silent").unlink()


@contextmanager
def faulty_engine(name: str, portal: BlockingPortal) -> Iterator[FaultyEngine]:
    """Yield an engine that can be broken; skip the test where it is not up."""
    site = site_of(name)
    folder = Path(tempfile.mkdtemp(prefix="ce-"))  # the path of a socket has 108 bytes at most
    try:
        if name in ("docker", "kube"):
            engine = _docker(site, folder, portal) if name == "docker" else _kube(site, folder, portal)
            yield engine
            engine.wire.stop()
        else:
            yield _slurm(site, folder) if name == "slurm" else InTheDaemon(site, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _docker(site: SiteOfTests, folder: Path, portal: BlockingPortal) -> OverHttp:
    socket = folder / "docker.sock"
    wire = Wire(Upstream(_option(site, "host").removeprefix("unix://")), portal, socket)
    wire.start()
    return OverHttp(
        with_settings(site, host=f"unix://{socket}"),
        wire,
        create=r"^POST .*/containers/create",
        start=r"^POST .*/containers/[^/]+/start",
        logs=r"^GET .*/containers/[^/]+/logs",
    )


def _kube(site: SiteOfTests, folder: Path, portal: BlockingPortal) -> OverHttp:
    known = json.loads(Path(_option(site, "kubeconfig")).read_text())
    cluster = known["clusters"][0]["cluster"]
    wire = Wire(Upstream(cluster["server"]), portal)
    wire.start()
    known["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{wire.port}"}
    place = folder / "kubeconfig"
    place.write_text(json.dumps(known))
    place.chmod(0o600)
    return OverHttp(
        with_settings(site, kubeconfig=str(place)),
        wire,
        create=r"^POST /apis/batch/v1/namespaces/[^/]+/jobs",
        logs=r"^GET /api/v1/namespaces/[^/]+/pods/[^/]+/log",
    )


def _slurm(site: SiteOfTests, folder: Path) -> OverCommands:
    commands = folder / "commands"
    commands.mkdir()
    for real in Path(_option(site, "commands")).iterdir():
        fault = folder / f"{real.name}.fault"
        command = commands / real.name
        command.write_text(f'#!/bin/sh\nreal={real}\n[ -e {fault} ] && . {fault}\nexec "$real" "$@"\n')
        command.chmod(0o755)
    return OverCommands(with_settings(site, commands=str(commands), timeout="3s"), folder)


def _option(site: SiteOfTests, name: str) -> str:
    """Return a setting of the site's backend."""
    path = f"backends.{site.backend}.{name}="
    (found,) = [option.removeprefix(path) for option in site.options if option.startswith(path)]
    return found


def with_settings(site: SiteOfTests, **settings: str) -> SiteOfTests:
    """Return the site with other settings of its backend."""
    paths = {f"backends.{site.backend}.{name}": value for name, value in settings.items()}
    kept = tuple(option for option in site.options if option.partition("=")[0] not in paths)
    return attrs.evolve(site, options=(*kept, *(f"{path}={value}" for path, value in paths.items())))
