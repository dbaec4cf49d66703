"""Slurm's commands: what is run, and what the output means. Parsers are pure and stand beside their argument lists."""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import attrs

from container_executor import command
from container_executor.errors import RejectedError, UnavailableError
from container_executor.models import FailureClass
from container_executor_slurm.states import SlurmState

_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "SLURM_CONF")
"""All variables that Slurm's commands get, and through sbatch the job: neither our secrets nor a job's own SLURM_*."""

_NO_ANSWER = re.compile(
    r"unable to contact|socket timed out|connection (refused|reset|timed out)|zero bytes|communication|"
    r"temporarily unable|protocol authentication|munge|backup controller|talking to the database|"
    r"failed to open persistent|slurmdbd",
    re.IGNORECASE,
)
_UNKNOWN_JOB = re.compile(r"invalid job id|job/step already completing|invalid job step", re.IGNORECASE)
_QUOTA = re.compile(r"violates accounting|qos policy|maximum.*(job|submit)|limit", re.IGNORECASE)
_UNSCHEDULABLE = re.compile(r"requested node config|more processors|node count|memory specification", re.IGNORECASE)


@attrs.frozen
class Commands:
    """Runs Slurm's commands.

    Attributes:
        folder: Where they are; None is on PATH.
        timeout: How long one may take. Clients wait up to 20 s themselves for a controller that is gone.
    """

    folder: Path | None = None
    timeout: timedelta = timedelta(seconds=30)

    def run(self, argv: Sequence[str], *, stdin: str = "") -> command.Result:
        """Run a command and return what it did.

        Raises:
            UnavailableError: It cannot be run, did not end in time, or says that Slurm does not answer.
        """
        program = str(self.folder / argv[0]) if self.folder else argv[0]
        result = command.run(
            [program, *argv[1:]], timeout=self.timeout, stdin=stdin, env=environment(), cwd=Path("/"), check=False
        )
        if result.exit_code != 0 and _NO_ANSWER.search(result.stderr):
            raise UnavailableError(f"Slurm does not answer: {result.complaint()}")
        return result

    def submit(self, script: str, limit: int | None) -> str:
        """Submit *script* with a limit in minutes and return the job's number.

        Raises:
            RejectedError: Slurm refuses it.
            UnavailableError: No answer that can be understood; the job may be there.
        """
        result = self.run(submit_argv(limit), stdin=script)
        number = parse_submit(result.stdout)
        if result.exit_code == 0 and number:
            return number
        if not result.stderr.strip():
            raise UnavailableError(f"sbatch gave no job number: {result.complaint()}")
        raise RejectedError(f"Slurm refuses the job: {result.complaint()}", failure=refusal(result.stderr))

    def queue(self, numbers: Collection[str]) -> Mapping[str, SlurmState]:
        """Return what the controller knows of jobs, by number, ended ones as long as it keeps them."""
        return self._jobs(queue_argv(numbers)) if numbers else {}

    def queue_by_name(self, name: str) -> Mapping[str, SlurmState]:
        """Return what the controller knows of this user's jobs of one name, ended ones too."""
        return self._jobs([*_QUEUE, "--states=all", "--me", f"--name={name}"])

    def queue_all(self) -> Mapping[str, SlurmState]:
        """Return all jobs of this user that the controller knows, ended ones too."""
        return self._jobs([*_QUEUE, "--states=all", "--me"])

    def history(self, numbers: Collection[str]) -> Mapping[str, SlurmState]:
        """Return what the accounting knows of jobs, by number."""
        if not numbers:
            return {}
        result = self.run(history_argv(numbers))
        if result.exit_code != 0:
            raise UnavailableError(f"the accounting does not answer: {result.complaint()}")
        return parse_history(result.stdout)

    def signal(self, number: str, *, force: bool) -> None:
        """Take a job that waits out of the queue; send TERM (or KILL) to the tasks of one that runs."""
        for argv in cancel_argvs(number, force=force):
            result = self.run(argv)
            if result.exit_code != 0 and not _UNKNOWN_JOB.search(result.stderr):
                raise RejectedError(f"job {number} cannot be cancelled: {result.complaint()}")

    def _jobs(self, argv: Sequence[str]) -> Mapping[str, SlurmState]:
        result = self.run(argv)
        if result.exit_code != 0 and _UNKNOWN_JOB.search(result.stderr):
            return {}
        if result.exit_code != 0:
            raise UnavailableError(f"the controller does not answer: {result.complaint()}")
        return parse_queue(result.stdout)


def environment() -> dict[str, str]:
    """Return the variables of every command."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def submit_argv(limit: int | None) -> list[str]:
    """Return the command that submits the script on its standard input."""
    return ["sbatch", "--parsable", *([f"--time={limit}"] if limit else [])]


def parse_submit(stdout: str) -> str:
    """Return the job's number in what :func:`submit_argv` prints (with several clusters ``12;name``), "" if it has none."""
    last = stdout.strip().splitlines()[-1:]
    number = last[0].partition(";")[0] if last else ""
    return number if number.isdigit() else ""


def refusal(stderr: str) -> str:
    """Return the failure class that sbatch's words prove, "" where they prove none."""
    if _UNSCHEDULABLE.search(stderr):
        return FailureClass.UNSCHEDULABLE
    return FailureClass.QUOTA if _QUOTA.search(stderr) else ""


_QUEUE = ["squeue", "--noheader", "--format=%A|%T|%r|%j|%k"]


def queue_argv(numbers: Collection[str]) -> list[str]:
    """Return the command that asks the controller. One known number among them makes unknown ones no error."""
    return [*_QUEUE, "--states=all", f"--jobs={','.join(sorted(numbers))}"]


def parse_queue(stdout: str) -> dict[str, SlurmState]:
    """Parse what :func:`queue_argv` prints. Jobs that squeue does not list are left out."""
    rows = (line.split("|", 4) for line in stdout.splitlines() if line.count("|") >= 4)
    return {
        number: SlurmState(word, _words(reason), name=name, comment=comment, native_id=number)
        for number, word, reason, name, comment in rows
    }


def history_argv(numbers: Collection[str]) -> list[str]:
    """Return the command that asks the accounting."""
    fields = "JobIDRaw,State,ExitCode,JobName"
    return ["sacct", "-X", "--noheader", "--parsable2", f"--format={fields}", f"--jobs={','.join(sorted(numbers))}"]


def parse_history(stdout: str) -> dict[str, SlurmState]:
    """Parse what :func:`history_argv` prints. A state may go on: ``CANCELLED by 1000``, ``RUNNING+``."""
    rows = (line.split("|", 3) for line in stdout.splitlines() if line.count("|") >= 3)
    return {
        number: SlurmState(state.split()[0].rstrip("+") if state else "", exit_code=code, name=name, native_id=number)
        for number, state, code, name in rows
    }


def cancel_argvs(number: str, *, force: bool) -> list[list[str]]:
    """Return the commands that end a job, whether it waits or runs.

    A plain ``scancel`` of a job that runs would leave the time between TERM and KILL to the site's ``KillWait``, and
    nothing can shorten it once begun (24.11: a KILL is answered with ``Invalid job id``). Step 0 is the ranks.
    """
    word = "KILL" if force else "TERM"
    return [["scancel", "--state=PENDING", number], ["scancel", f"--signal={word}", f"{number}.0"]]


def _words(reason: str) -> str:
    return "" if reason in ("None", "") else reason
