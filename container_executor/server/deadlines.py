"""What is due: attempts that took too long, processes that waited too long, executors that fell silent."""

from container_executor.server.call import Call
from container_executor.server.executors import unregister_stale
from container_executor.server.lifecycle import EXPIRED, WAITED, fail, requeue_expired
from container_executor.server.process import Process, select
from container_executor.server.workflows import resolve

UNLIMITED = -1


def has_another_attempt(process: Process) -> bool:
    """Whether a process whose attempt took too long goes back to the queue."""
    return process.maxretries <= UNLIMITED or process.retries < process.maxretries


def expire(call: Call) -> None:
    """End or take back what is past its time.

    The decision and the change are one transaction: a close that was acknowledged before is never undone.
    """
    for process in select(call.db, "WHERE state = 1 AND due IS NOT NULL AND due <= ?", call.now):
        if has_another_attempt(process):
            requeue_expired(call, process)
        else:
            resolve(call, fail(call, process, [EXPIRED]).graphid)
    for process in select(call.db, "WHERE state = 0 AND waitdeadline > 0 AND waitdeadline <= ?", call.now):
        resolve(call, fail(call, process, [WAITED]).graphid)


def sweep(call: Call, seconds: float) -> int:
    """Unregister executors that have not asked for work for so long, and return how many."""
    return unregister_stale(call, int(seconds))
