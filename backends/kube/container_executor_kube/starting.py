"""The shell that each container begins with, before the wrapper: it keeps the end, and holds ranks until all are placed."""

from collections.abc import Sequence

from container_executor.wrapper import wrap

FOLDER = "/run/container-executor"
"""Where the pod's own annotations appear as files (kubernetes.io, Downward API)."""
RELEASE_FILE, INPUT_FILE = "release", "input.json"

_SCRIPT = (
    "trap 'exit 143' TERM; _e=$1 _l=$2 _g=$3 _m=$4; shift 4; "
    # A pod counts its own deadline from its start. One that was placed late keeps the end with a timer of its own.
    "if [ $_e -gt 0 ]; then _n=$(date +%s); "
    "if [ $_n -ge $_e ]; then echo 'container-executor: the time of this job was over before it could start' >&2; exit 143; fi; "
    "if [ $((_n + _l)) -gt $((_e + 1)) ]; then "
    "(trap '' TERM; sleep $((_e - _n)); kill -TERM 1; sleep $_g; kill -KILL -1) > /dev/null 2>&1 & fi; fi; "
    "if [ $_m -gt 0 ]; then "
    f'until _a=$(cat {FOLDER}/{RELEASE_FILE} 2> /dev/null) && [ "$_a" ]; do sleep 0.1; done; '
    "RANK=$((NODE_RANK * _m + LOCAL_RANK)) MASTER_ADDR=$_a; export RANK MASTER_ADDR; fi; "
    'exec "$@"'
)

_DRAIN = "trap 'sleep 0.3 2> /dev/null || sleep 1' EXIT; "
"""Before the wrapper: when a container ends while the node is busy, containerd (1.6.20) drops what is still in its output pipe,
up to 64 KiB, and nothing shows that it did. So the container stays a moment longer than its program, with the same exit code."""

COMMAND = ("sh", "-c", _SCRIPT, "ce")
"""What a container runs; its arguments are those of :func:`arguments`."""


def arguments(argv: Sequence[str], *, meeting: int) -> list[str]:
    """Return the arguments for a job without an end.

    Args:
        argv: The job's program and arguments.
        meeting: Ranks of a pod where ranks of several pods must meet before they start; 0 where they need not.
    """
    shell, option, script, *rest = wrap(argv)
    return ["0", "0", "0", str(meeting), shell, option, _DRAIN + script, *rest]


def with_end(args: Sequence[str], *, end: int, deadline: int, grace: int) -> list[str]:
    """Return *args* with the end of the job.

    Args:
        args: What :func:`arguments` returned.
        end: When TERM is due, in seconds since 1970.
        deadline: Seconds after the pod's start when the engine itself sends it.
        grace: Seconds from TERM to KILL.
    """
    return [str(end), str(deadline), str(grace), *args[3:]]
