"""Gathers what the folder of a job proves."""

from datetime import datetime

from container_executor_slurm.jobdir import Exit, JobDir
from container_executor_slurm.verdict import Evidence

_TAIL = 4000
"""Bytes of output that are searched for Apptainer's last words."""


def gather(folder: JobDir, ranks: int) -> Evidence:
    """Return the evidence in *folder*; Slurm is not asked."""
    exits = {rank: record for rank, record in folder.exits().items() if rank < ranks}
    done = folder.done()
    failed = any(record.code for record in exits.values()) or len(exits) < ranks
    output = folder.output(0) if 0 in exits else None
    return Evidence(
        ranks=ranks,
        image=folder.facts().get("image", ""),
        exits=exits,
        began=_began(folder, ranks, exits),
        outputs={} if output is None else {0: output},
        complaints={rank: _last_words(folder, rank) for rank, record in exits.items() if record.cause == "unstarted"},
        srun=folder.srun_words() if done and failed else {},
        done=done,
    )


def _began(folder: JobDir, ranks: int, exits: dict[int, Exit]) -> dict[int, datetime]:
    seen = {rank: folder.began(rank) for rank in range(ranks) if rank not in exits}
    return {rank: began for rank, began in seen.items() if began is not None}


def _last_words(folder: JobDir, rank: int) -> str:
    text = folder.log(rank, 0, _TAIL).decode(errors="replace").strip()
    return "; ".join(text.splitlines()[-2:])
