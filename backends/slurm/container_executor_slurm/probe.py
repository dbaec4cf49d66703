"""How a Slurm site is: each thing that would keep jobs from running, with what to do about it."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from container_executor.errors import BackendError
from container_executor.models import Fault, Health
from container_executor_slurm.commands import Commands


def probe(commands: Commands, *, root: Path, cache: Path, partition: str, apptainer: str, accounting: bool) -> Health:
    """Return the health of the site. Raises nothing."""
    version = ""
    try:
        version = commands.run(["sinfo", "--version"]).stdout.strip()
        reached = commands.run(["squeue", "--noheader", "--me", "--states=running"])
        faults = [*_directories(root, cache), *_faults(commands, partition, apptainer, accounting=accounting)]
    except BackendError as error:
        fix = "see that sinfo and squeue run here, that slurm.conf is right and that slurmctld and munge are up"
        return Health(reachable=False, version=version, faults=(Fault(str(error), fix),))
    if reached.exit_code != 0:
        faults.insert(0, Fault(reached.complaint(), "see that slurmctld is up: scontrol ping"))
    return Health(reachable=reached.exit_code == 0, version=version, faults=tuple(faults))


def _directories(root: Path, cache: Path) -> Iterator[Fault]:
    for place, setting in ((root, "shared"), (cache, "image_cache")):
        if not _writable(place):
            fix = f"set backends.slurm.{setting} to a directory that this user and all nodes share"
            yield Fault(f"{place} cannot be written", fix)


def _faults(commands: Commands, partition: str, apptainer: str, *, accounting: bool) -> Iterator[Fault]:
    if partition and not commands.run(["sinfo", "--noheader", f"--partition={partition}"]).stdout.strip():
        yield Fault(f"there is no partition {partition}", "set backends.slurm.partition to one that sinfo lists")
    if accounting and not _runs(commands, ["sacct", "-X", "--noheader", "--parsable2", "--format=JobID"]):
        fix = "start slurmdbd, or set backends.slurm.accounting = false: ends that slurmctld forgot are then lost"
        yield Fault("the accounting does not answer", fix)
    if not _runs(commands, [apptainer, "--version"]):
        fix = "install it, or set backends.slurm.apptainer to its path: images are made ready here"
        yield Fault(f"{apptainer} does not run on this machine", fix)


def _runs(commands: Commands, argv: Sequence[str]) -> bool:
    try:
        return commands.run(argv).exit_code == 0
    except BackendError:
        return False


def _writable(root: Path) -> bool:
    place = next(path for path in (root, *root.absolute().parents) if os.access(path, os.F_OK))
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK)
