"""The contract on Slurm: one batch script a job, a shared folder for what it leaves, Slurm's commands for the rest."""

import json
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import attrs

from container_executor.backend import LOG_LIMIT, Backend
from container_executor.errors import BackendError, Problem, RejectedError, UnsupportedError
from container_executor.models import (
    Capacity,
    FailureClass,
    Found,
    Handle,
    Health,
    JobSpec,
    JobStatus,
    LogChunk,
    Mark,
    Plan,
    Progress,
)
from container_executor_slurm import logs, script
from container_executor_slurm.commands import Commands, capacity_argv, limit_argv, parse_capacity, parse_limit
from container_executor_slurm.evidence import gather
from container_executor_slurm.images import ImageCache, parse
from container_executor_slurm.jobdir import WAKES, JobDir, file_errors
from container_executor_slurm.probe import probe
from container_executor_slurm.states import SlurmState
from container_executor_slurm.verdict import Evidence, judge
from container_executor_slurm.wakes import watch

_PLAIN_PATH = re.compile(r"/[A-Za-z0-9/._+@-]*")
_CAPACITY_AGE = 5.0
"""Seconds that an answer about free capacity is used for."""
_NO_NUMBER_AGE = timedelta(minutes=1)
"""After it a folder without Slurm's number is one that nobody is submitting any more."""


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
    partition: str = _setting("", "partition that jobs go to; Slurm's default if not set")
    account: str = _setting("", "account that jobs are charged to")
    qos: str = _setting("", "quality of service that jobs ask for")
    options: tuple[str, ...] = _setting((), "further options of sbatch, such as --constraint=ib")
    prologue: str = _setting("", "shell lines that run first on each node, such as module load apptainer")
    apptainer: str = _setting("apptainer", "the container program: apptainer or singularity, or a path")
    apptainer_options: tuple[str, ...] = _setting((), "further options of apptainer exec")
    gpu_options: Mapping[str, str] = _setting(
        {"": "--gpus-per-task={gpus}"},
        "by name of a GPU: options of sbatch and srun; {gpus} a rank, {node_gpus} a node",
    )
    gpu_flag: str = _setting("--nv", "option of apptainer exec that brings the GPU driver in: --nv or --rocm")
    accounting: bool = _setting(True, "ask sacct about jobs that the controller has forgotten")
    commands: Path | None = _setting(None, "directory of Slurm's commands where they are not on PATH")
    timeout: timedelta = _setting(timedelta(seconds=30), "how long one of Slurm's commands may take")
    _ended_since: dict[str, float] = attrs.field(factory=dict, init=False)
    _longest: int | None = attrs.field(default=None, init=False)
    _capacity: tuple[float, Capacity] | None = attrs.field(default=None, init=False)

    # --- planning -----------------------------------------------------------------------------------------------------

    def plan(self, job: JobSpec) -> Plan:
        problems = [*self._problems(job)]
        if problems:
            raise UnsupportedError(problems)
        image = parse(job.image, self._image_places()).uri
        text = script.render(job, image, self._site(job))
        return Plan(job, {"script": text, "image": image}, text)

    def _problems(self, job: JobSpec) -> Iterator[Problem]:
        if not _PLAIN_PATH.fullmatch(str(self._root())):
            yield Problem(
                "backends.slurm.shared", f"{self._root()} must consist of letters, digits and / . _ + @ - only"
            )
        for name in script.unusable_names(job.env):
            yield Problem(f"env.{name}", "no shell can export this name; use letters, digits and _")
        if job.gpus and job.gpu_name not in self.gpu_options:
            known = ", ".join(sorted(filter(None, self.gpu_options))) or "none by name"
            yield Problem("conditions.gpu.name", f"this site has no GPU {job.gpu_name!r}; it has: {known}")

    def _site(self, job: JobSpec) -> script.Site:
        named = {"--partition": self.partition, "--account": self.account, "--qos": self.qos}
        gpus = self.gpu_options[job.gpu_name].format(gpus=job.gpus, node_gpus=job.gpus * job.processes_per_node)
        return script.Site(
            root=str(self._root()),
            options=(*(f"{option}={value}" for option, value in named.items() if value), *self.options),
            prologue=self.prologue,
            apptainer=self.apptainer,
            apptainer_options=self.apptainer_options,
            gpu_options=tuple(gpus.split()) if job.gpus else (),
            gpu_flag=self.gpu_flag,
        )

    # --- images -------------------------------------------------------------------------------------------------------

    def prepare(self, plan: Plan, report: Callable[[Progress], None], stop: Event) -> str | None:
        with file_errors():
            return self._images().prepare(plan.job.image, anew=plan.job.pull, report=report, stop=stop)

    def _images(self) -> ImageCache:
        roots = tuple(root.absolute() for root in self.image_roots)
        return ImageCache(self._image_folder(), roots, self.apptainer, self._slurm(), self.insecure_registries)

    def _image_folder(self) -> Path:
        return (self.image_cache or (self.shared or self.directory) / "images").expanduser().absolute()

    def _image_places(self) -> tuple[Path, ...]:
        return (*(root.absolute() for root in self.image_roots), self._image_folder())

    # --- submitting ---------------------------------------------------------------------------------------------------

    def submit(self, plan: Plan, *, lifetime: timedelta | None) -> Handle:
        folder = self._folder(plan.job_id)
        with file_errors(), folder.locked():
            known = folder.mark()
            if known is not None and known != plan.job.mark:
                raise RejectedError(f"{plan.job_id}: {folder.path} belongs to another job")
            number = folder.number() or (self._lost(plan.job_id) if known else "")
            if not number:
                self._leave(folder, plan, lifetime)
                number = self._send(folder, plan, lifetime)
            folder.write("number", number)
            return Handle(plan.job_id, folder.number(), plan.job.ranks)

    def _leave(self, folder: JobDir, plan: Plan, lifetime: timedelta | None) -> None:
        """Write what the script finds in the folder."""
        for place in (folder.path / "exits", folder.path.parent / WAKES):
            place.mkdir(exist_ok=True)
        facts = {**plan.job.mark.to_dict(), "image": plan.request["image"], "ranks": str(plan.job.ranks)}
        deadline = script.deadline_line(lifetime, plan.job.grace, time.time())
        files = {
            "script": plan.request["script"],
            "input": plan.job.input,
            "deadline": deadline,
            "job.json": json.dumps(facts),
        }
        for name, text in files.items():
            if text:
                folder.write(name, text)

    def _send(self, folder: JobDir, plan: Plan, lifetime: timedelta | None) -> str:
        try:
            return self._slurm().submit(plan.request["script"], self._minutes(plan.job, lifetime))
        except BackendError as error:
            number = self._lost(plan.job_id)
            if not number and isinstance(error, RejectedError):
                folder.delete()
            if not number:
                raise
            return number

    def _minutes(self, job: JobSpec, lifetime: timedelta | None) -> int | None:
        """Return the time limit to ask for; the partition's own is asked for once."""
        if self._longest is None:
            answer = self._slurm().run(limit_argv(self.partition)).stdout
            self._longest = parse_limit(answer, self.partition) or 0
        if job.walltime and self._longest and job.walltime > timedelta(minutes=self._longest):
            message = f"the walltime {job.walltime} is more than the partition allows: {self._longest} minutes"
            raise RejectedError(message, failure=FailureClass.UNSCHEDULABLE)
        return script.minutes(job, lifetime, self._longest)

    def _lost(self, job_id: str) -> str:
        """Return the number of a job whose submission we have no reply to, "" where there is none."""
        states = self._slurm().queue_by_name(job_id).values()
        return next((state.native_id for state in states if self._is_ours(state)), "")

    # --- asking -------------------------------------------------------------------------------------------------------

    def status(self, handles: Collection[Handle]) -> Mapping[str, JobStatus]:
        now = datetime.now(UTC)
        with file_errors():
            known = {handle: self._evidence(handle) for handle in handles if self._folder(handle.job_id).exists}
            strays = [handle for handle in handles if handle not in known]
            waiting = [handle for handle, evidence in known.items() if not evidence.settled(now)]
            states = self._ask(waiting)
            for handle in waiting:
                evidence = self._with_slurm(handle, known.pop(handle), states.get(handle.job_id))
                if evidence is not None:
                    known[handle] = evidence
        found = {handle.job_id: judge(evidence, self._number(handle), now) for handle, evidence in known.items()}
        return {**found, **self._strays(strays)}

    def _evidence(self, handle: Handle) -> Evidence:
        folder = self._folder(handle.job_id)
        evidence = gather(folder, handle.ranks)
        kept = None if evidence.complete else folder.read("slurm")
        return attrs.evolve(evidence, slurm=SlurmState(**json.loads(kept)), waited=timedelta.max) if kept else evidence

    def _ask(self, handles: Collection[Handle]) -> Mapping[str, SlurmState]:
        """Return Slurm's word about jobs, by job id: the controller's, or the accounting's where it has forgotten."""
        numbers = {number: handle.job_id for handle in handles if (number := self._number(handle))}
        states = dict(self._slurm().queue(numbers))
        forgotten = numbers.keys() - states.keys()
        if self.accounting:
            states.update(self._slurm().history(forgotten))
        # Slurm's numbers begin again one day: one with another name is another job.
        return {state.name: state for number, state in states.items() if numbers.get(number) == state.name}

    def _with_slurm(self, handle: Handle, evidence: Evidence, state: SlurmState | None) -> Evidence | None:
        """Add Slurm's word, and keep it if it is the last; None where Slurm does not have the job."""
        if state is None:
            return None
        since = self._ended_since.setdefault(handle.job_id, time.monotonic()) if state.ended else time.monotonic()
        whole = attrs.evolve(
            self._evidence(handle) if state.ended else evidence,
            slurm=state,
            waited=timedelta(seconds=time.monotonic() - since),
        )
        if state.ended and not whole.complete and whole.settled(datetime.now(UTC)):
            self._ended_since.pop(handle.job_id, None)
            self._folder(handle.job_id).write("slurm", json.dumps(attrs.asdict(state)))
        return whole

    def _strays(self, handles: Collection[Handle]) -> dict[str, JobStatus]:
        """Return the jobs without a folder that Slurm still has: live ones that bear our mark."""
        if not handles:
            return {}
        live = {state.name: state for state in self._slurm().queue_all().values() if self._is_live_and_ours(state)}
        words = "its folder in the shared directory is gone"
        return {
            handle.job_id: JobStatus(state.live, (), None, words, state.native_id)
            for handle in handles
            if (state := live.get(handle.job_id))
        }

    def logs(self, handle: Handle, cursor: str = "", *, limit: int = LOG_LIMIT) -> LogChunk:
        folder = self._folder(handle.job_id)
        with file_errors():
            if not folder.exists:
                self._strays([handle])
                return LogChunk(cursor=cursor)
            ended = self._evidence(handle).settled(datetime.now(UTC))
            return logs.read(folder, handle.ranks, cursor, limit, ended=ended)

    def list_jobs(self) -> Collection[Found]:
        live = [state for state in self._slurm().queue_all().values() if self._is_ours(state)]
        numbers = {state.name: state.native_id for state in live}
        with file_errors():
            found = [self._found(folder, numbers) for folder in self._folders()]
        here = {job.handle.job_id: job for job in found if job is not None}
        strays = [state for state in live if state.name not in here and self._is_live_and_ours(state)]
        return [*here.values(), *(_found_stray(state) for state in strays)]

    def _folders(self) -> list[JobDir]:
        root = self._root()
        return (
            [JobDir(path) for path in sorted(root.iterdir()) if (path / "job.json").exists()] if root.exists() else []
        )

    def _found(self, folder: JobDir, numbers: Mapping[str, str]) -> Found | None:
        mark = folder.mark()
        number = folder.number() or numbers.get(folder.path.name, "")
        age = timedelta(seconds=time.time() - folder.path.stat().st_mtime)
        if mark is None or mark.owner != self.owner or (not number and age < _NO_NUMBER_AGE):
            return None
        return Found(Handle(mark.job_id, number, int(folder.facts()["ranks"])), mark)

    # --- ending -------------------------------------------------------------------------------------------------------

    def cancel(self, handle: Handle, *, force: bool = False) -> None:
        with file_errors():
            folder = self._folder(handle.job_id)
            if not folder.exists:
                self._cancel_stray(handle, force=force)
                return
            if self._evidence(handle).settled(datetime.now(UTC)):
                return
            folder.write("cancel", "")
            number = self._number(handle) or self._lost(handle.job_id)
        if number:
            self._slurm().signal(number, force=force)

    def _cancel_stray(self, handle: Handle, *, force: bool) -> None:
        stray = self._strays([handle]).get(handle.job_id)
        if stray is not None:
            self._slurm().signal(stray.native_id, force=force)

    def remove(self, handle: Handle) -> None:
        folder = self._folder(handle.job_id)
        with file_errors():
            if folder.exists and self._is_over(handle, folder):
                folder.delete()
                return
        self.cancel(handle, force=True)

    def _is_over(self, handle: Handle, folder: JobDir) -> bool:
        """True once nothing of the job runs any more, its batch script included."""
        if folder.done() is not None:
            return True
        state = self._ask([handle]).get(handle.job_id)
        return state is None or state.ended

    # --- the engine itself --------------------------------------------------------------------------------------------

    def watch(self, wake: Callable[[str], None], stop: Event) -> None:
        watch(self._root() / WAKES, wake, stop)

    def capacity(self) -> Capacity:
        if self._capacity is None or time.monotonic() - self._capacity[0] > _CAPACITY_AGE:
            self._capacity = (time.monotonic(), parse_capacity(self._slurm().run(capacity_argv(self.partition)).stdout))
        return self._capacity[1]

    def probe(self) -> Health:
        return probe(
            self._slurm(),
            root=self._root(),
            partition=self.partition,
            apptainer=self.apptainer,
            accounting=self.accounting,
        )

    # --- places -------------------------------------------------------------------------------------------------------

    def _slurm(self) -> Commands:
        return Commands(self.commands, self.timeout)

    def _root(self) -> Path:
        """Return the folder of this owner's jobs: nobody else's are in it."""
        return ((self.shared or self.directory) / "jobs" / self.owner).expanduser().absolute()

    def _folder(self, job_id: str) -> JobDir:
        return JobDir(self._root() / job_id)

    def _number(self, handle: Handle) -> str:
        return self._folder(handle.job_id).number() or (handle.native_id if handle.native_id.isdigit() else "")

    def _is_ours(self, state: SlurmState) -> bool:
        mark = script.decode_mark(state.comment)
        return mark is not None and mark.owner == self.owner and mark.job_id == state.name

    def _is_live_and_ours(self, state: SlurmState) -> bool:
        return not state.ended and state.word != "COMPLETING" and self._is_ours(state)


def _found_stray(state: SlurmState) -> Found:
    """Return a job whose comment is known to bear our mark."""
    mark = Mark.from_dict(dict(parse_qsl(state.comment)))
    return Found(Handle(state.name, state.native_id), mark)
