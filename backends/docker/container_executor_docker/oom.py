"""Lets each container tell that the kernel killed a process of it for want of memory: the engine may not have noticed.

containerd listens for the kernel's word only once it has started a container. Of programs that take too much memory as soon as they
start, it missed 8 of 100 where eight ran at a time (dockerd 20.10.24, containerd 1.6.20, control groups v1).
"""

from container_executor_docker.paths import EXCHANGE

NOTES = "oom"
"""The file in which ranks note that: a line with its number for each."""

# The files of control groups v2 (kernel.org, Control Group v2, memory.events) and v1, of which a container sees its own.
_NOTE = (
    "for _f in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do "
    '[ ! -r $_f ] || while read -r _k _v; do [ "$_k" != oom_kill ] || [ "$_v" = 0 ] || echo {rank} >> {notes}; done < $_f; done 2> /dev/null'
)


def with_note(script: str, rank: int) -> str:
    """Return a shell script that notes at its end, its exit code unchanged, if a process was killed for want of memory."""
    note = _NOTE.format(rank=rank, notes=f"{EXCHANGE}/{NOTES}")
    return f"trap '{note}' EXIT; {script}"
