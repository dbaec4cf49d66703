"""The values that all parts share: what is to run, what was asked of an engine, what became of it.

All are frozen. Times are aware UTC datetimes, durations timedeltas, sizes bytes, cpu millicores.
"""

from container_executor.models.job import (
    MASTER_PORT,
    OUTPUT_LIMIT,
    OWNER_HEX,
    PROCESS_HEX,
    Found,
    Handle,
    JobSpec,
    Mark,
    Mount,
    Plan,
    rank_env,
)
from container_executor.models.site import Capacity, Fault, Gap, Health, LogChunk, LogLine, Progress
from container_executor.models.status import FailureClass, JobState, JobStatus, RankStatus, exit_signal, job_state

__all__ = [
    "MASTER_PORT",
    "OUTPUT_LIMIT",
    "OWNER_HEX",
    "PROCESS_HEX",
    "Capacity",
    "FailureClass",
    "Fault",
    "Found",
    "Gap",
    "Handle",
    "Health",
    "JobSpec",
    "JobState",
    "JobStatus",
    "LogChunk",
    "LogLine",
    "Mark",
    "Mount",
    "Plan",
    "Progress",
    "RankStatus",
    "exit_signal",
    "job_state",
    "rank_env",
]
