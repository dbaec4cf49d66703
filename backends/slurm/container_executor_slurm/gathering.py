"""Gathers what the folder of a job proves."""

import json
from datetime import datetime, timedelta

from container_executor_slurm.evidence import Evidence
from container_executor_slurm.jobdir import JobDir
from container_executor_slurm.records import Exit
from container_executor_slurm.states import SlurmState

_TAIL = 4000
"""Bytes of output that are searched for Apptainer's last words."""


def gather(folder: JobDir, ranks: int) -> Evidence:
    """Return the evidence in *folder*, with Slurm's last word if it was kept there; Slurm is not asked."""
    kept = folder.read("slurm")
    exits = {rank: record for rank, record in folder.exits().items() if rank < ranks}
    done = folder.done()
    failed = any(record.code for record in exits.values()) or (done is not None and len(exits) < ranks)
    output = folder.output(0) if 0 in exits else None
    return Evidence(
        ranks=ranks,
        image=folder.facts().get("image", ""),
        launched=folder.read("launch/id") is not None,
        again=folder.read("launch/again") is not None,
        exits=exits,
        began=_began(folder, ranks, exits),
        outputs={} if output is None else {0: output},
        complaints={rank: _last_words(folder, rank) for rank, record in exits.items() if record.cause == "unstarted"},
        srun=folder.srun_words() if failed else {},
        done=done,
        slurm=SlurmState(**json.loads(kept)) if kept else None,
        waited=timedelta.max if kept else timedelta(0),
    )


def _began(folder: JobDir, ranks: int, exits: dict[int, Exit]) -> dict[int, datetime]:
    seen = {rank: folder.began(rank) for rank in range(ranks) if rank not in exits}
    return {rank: began for rank, began in seen.items() if began is not None}


def _last_words(folder: JobDir, rank: int) -> str:
    text = folder.log(rank, 0, _TAIL).decode(errors="replace").strip()
    return "; ".join(text.splitlines()[-2:])
