"""The shell that every rank starts under inside an image.

A plain program that is process 1 of a container ignores TERM and even its own ``kill -9 $$`` (pid_namespaces(7)), and a shell
forwards no signal to its child. So the first program is always this small shell: it runs the job as a child, passes TERM on to
every process of the container, waits until the child has really ended, and ends with the child's exit code. An image without
``sh`` cannot run.
"""

from collections.abc import Sequence

_SCRIPT = (
    "if [ $$ -eq 1 ]; then trap 'kill -TERM -1' TERM; else trap 'kill -TERM $p' TERM; fi; "
    '"$@" & p=$!; '
    "while :; do wait $p; r=$?; kill -0 $p 2>/dev/null || break; done; exit $r"
)


def wrap(argv: Sequence[str]) -> list[str]:
    """Return the argument list that runs *argv* under the wrapper.

    The exit code is the program's own; 128 + n where signal n ended it; 127 where the image has no such program and 126
    where it cannot be executed.
    """
    return ["sh", "-c", _SCRIPT, "ce", *argv]
