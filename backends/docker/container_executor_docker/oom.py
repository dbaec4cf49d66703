"""Lets each container tell that the kernel killed a process of it for want of memory: the engine may not have noticed.

containerd listens for the kernel's word only once it has started a container. Of programs that take too much memory as soon as they
start, it missed 9 of 100 where eight ran at a time (dockerd 20.10.24, containerd 1.6.20, control groups v1).
"""

from container_executor_docker.paths import EXCHANGE

NOTES = "oom"
"""The file in which ranks note that: a line with its number for each."""

# Where the kernel counts (kernel.org, Control Groups v1, Memory Resource Controller, and Control Group v2, memory.events). A container of
# v1 finds its own group there; one of v2 may find its parent's, with the deaths of others, unless it is the root of what it sees.
_NOTE = (
    "_f=/sys/fs/cgroup/memory/memory.oom_control; read -r _k < /proc/self/cgroup; "
    '[ "$_k" != 0::/ ] || _f=/sys/fs/cgroup/memory.events; '
    'while read -r _k _v; do [ "$_k" != oom_kill ] || [ "$_v" = 0 ] || echo {rank} >> {notes}; done 2> /dev/null < $_f'
)


def with_note(script: str, rank: int) -> str:
    """Return a shell script that notes at its end, its exit code unchanged, if a process was killed for want of memory."""
    note = _NOTE.format(rank=rank, notes=f"{EXCHANGE}/{NOTES}")
    return f"trap '{note}' EXIT; {script}"
