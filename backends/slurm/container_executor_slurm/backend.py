"""The contract on Slurm: one batch script a job, a shared folder for what it leaves, Slurm's commands for the rest."""

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any, ClassVar

import attrs

from container_executor.backend import LOG_LIMIT, Backend
from container_executor.errors import UnsupportedError
from container_executor.models import Capacity, Found, Handle, Health, JobSpec, JobStatus, LogChunk, Plan, Progress
from container_executor_slurm import gpus, logs, probe, script, wakes
from container_executor_slurm.asking import Inquiry
from container_executor_slurm.commands import Commands
from container_executor_slurm.images import ImageCache
from container_executor_slurm.jobdir import WAKES, file_errors
from container_executor_slurm.jobs import Jobs
from container_executor_slurm.partition import Partition
from container_executor_slurm.references import parse
from container_executor_slurm.submission import Submission


def _setting(default: Any, meaning: str) -> Any:
    return attrs.field(default=default, metadata={"help": meaning})


@attrs.define(eq=False, kw_only=True)
class SlurmBackend(Backend):
    """Jobs as Slurm batch jobs; see the README beside this package for what a site provides."""

    name: ClassVar[str] = "slurm"

    owner: str = "00000000"
    directory: Path = Path("~/.container-executor/slurm")
    shared: Path | None = _setting(
        None, "directory at the same path here and on all nodes; the state directory if not set"
    )
    image_cache: Path | None = _setting(None, "directory of converted images, likewise; below shared if not set")
    image_roots: tuple[Path, ...] = _setting((), "directories below which specs may name images by path")
    insecure_registries: tuple[str, ...] = _setting((), "registries, as host:port, that are spoken to without TLS")
    docker_config: Path | None = _setting(
        None, "directory of a config.json with the logins of registries; the user's own if not set"
    )
    partition: str = _setting("", "partition that jobs go to; Slurm's default if not set")
    account: str = _setting("", "account that jobs are charged to")
    qos: str = _setting("", "quality of service that jobs ask for")
    options: tuple[str, ...] = _setting((), "further options of sbatch, such as --constraint=ib")
    modules: tuple[str, ...] = _setting((), "environment modules that are loaded first on each node")
    prologue: str = _setting("", "shell lines that run next on each node")
    apptainer: str = _setting("apptainer", "the container program: apptainer or singularity, or a path")
    apptainer_options: tuple[str, ...] = _setting((), "further options of apptainer exec")
    gpu_options: Mapping[str, str] = _setting(
        {}, "by name of a GPU: options of sbatch and srun that ask for it; {gpus} a rank, {node_gpus} a node"
    )
    gres: bool = _setting(False, "ask for GPUs without such options by --gres=gpu:NAME:COUNT, not by --gpus-per-task")
    rocm: bool = _setting(False, "GPUs are AMD's: containers get the ROCm driver")
    accounting: bool = _setting(True, "ask sacct about jobs that the controller has forgotten")
    commands: Path | None = _setting(None, "directory of Slurm's commands where they are not on PATH")
    timeout: timedelta = _setting(timedelta(seconds=30), "how long one of Slurm's commands may take")
    _over_since: dict[str, float] = attrs.field(factory=dict, init=False)
    _nodes: Partition = attrs.field(factory=Partition, init=False)

    # --- before the job -----------------------------------------------------------------------------------------------

    def plan(self, job: JobSpec) -> Plan:
        problems = [
            *script.problems(job, str(self._jobs().root)),
            *gpus.problems(job, self.gpu_options, gres=self.gres),
        ]
        if problems:
            raise UnsupportedError(problems)
        image = parse(job.image, (*self._roots(), self._image_folder())).uri
        text = script.render(job, image, self._site(job))
        return Plan(job, {"script": text, "image": image}, text)

    def prepare(self, plan: Plan, report: Callable[[Progress], None], stop: Event) -> str | None:
        with file_errors():
            return self._images().prepare(plan.job.image, anew=plan.job.pull, report=report, stop=stop)

    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        with file_errors():
            return self._submission().submit(plan, lifetime)

    # --- during and after it ------------------------------------------------------------------------------------------

    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        with file_errors():
            return self._inquiry().status(handles)

    def logs(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> LogChunk:
        folder = self._jobs().folder(handle.job_id)
        with file_errors():
            if not folder.exists:
                self._inquiry().strays([handle])
                return LogChunk(cursor=cursor)
            return logs.read(folder, handle.ranks, cursor, limit, ended=self._inquiry().settled(handle))

    def list_jobs(self) -> Collection[Found]:
        with file_errors():
            return self._jobs().found(self._slurm().queue_all().values())

    def cancel(self, handle: Handle, *, force: bool = False) -> None:
        with file_errors():
            known = self._jobs().folder(handle.job_id).exists
            if not (known and self._inquiry().settled(handle)):
                self._signal(handle, force=force)

    def remove(self, handle: Handle) -> None:
        folder = self._jobs().folder(handle.job_id)
        with file_errors():
            if folder.exists and self._inquiry().is_over(handle):
                folder.delete()
                self._over_since.pop(handle.job_id, None)
            else:
                self._signal(handle, force=True)

    def _signal(self, handle: Handle, *, force: bool) -> None:
        folder = self._jobs().folder(handle.job_id)
        if folder.exists:
            folder.write("cancel", "")
            number = self._jobs().number(handle) or self._submission().lost(handle.job_id)
        else:
            stray = self._inquiry().strays([handle]).get(handle.job_id)
            number = stray.native_id if stray else ""
        if number:
            self._slurm().signal(number, force=force)

    # --- the engine itself --------------------------------------------------------------------------------------------

    def watch(self, wake: Callable[[str], None], stop: Event) -> None:
        wakes.watch(self._jobs().root / WAKES, wake, stop)

    def capacity(self) -> Capacity:
        return self._nodes.free(self._slurm(), self.partition)

    def total(self) -> Capacity:
        return self._nodes.total(self._slurm(), self.partition)

    def probe(self) -> Health:
        return probe.probe(
            self._slurm(),
            root=self._jobs().root,
            cache=self._image_folder(),
            partition=self.partition,
            apptainer=self.apptainer,
            accounting=self.accounting,
        )

    # --- its parts, made of the settings ------------------------------------------------------------------------------

    def _slurm(self) -> Commands:
        return Commands(self.commands, self.timeout)

    def _jobs(self) -> Jobs:
        return Jobs(self.owner, ((self.shared or self.directory) / "jobs" / self.owner).expanduser().absolute())

    def _inquiry(self) -> Inquiry:
        return Inquiry(self._jobs(), self._slurm(), self.accounting, self._over_since)

    def _submission(self) -> Submission:
        slurm = self._slurm()
        return Submission(self._jobs(), slurm, lambda: self._nodes.longest(slurm, self.partition))

    def _images(self) -> ImageCache:
        return ImageCache(
            folder=self._image_folder(),
            roots=self._roots(),
            apptainer=self.apptainer,
            commands=self._slurm(),
            insecure=self.insecure_registries,
            logins=(self.docker_config / "config.json").expanduser().absolute() if self.docker_config else None,
        )

    def _image_folder(self) -> Path:
        return (self.image_cache or (self.shared or self.directory) / "images").expanduser().absolute()

    def _roots(self) -> tuple[Path, ...]:
        return tuple(root.absolute() for root in self.image_roots)

    def _site(self, job: JobSpec) -> script.Site:
        named = {"--partition": self.partition, "--account": self.account, "--qos": self.qos}
        return script.Site(
            root=str(self._jobs().root),
            options=(*(f"{option}={value}" for option, value in named.items() if value), *self.options),
            prologue=script.prologue(self.modules, self.prologue),
            apptainer=self.apptainer,
            apptainer_options=self.apptainer_options,
            gpu_options=gpus.request(job, self.gpu_options, gres=self.gres),
            gpu_flag="--rocm" if self.rocm else "--nv",
        )
