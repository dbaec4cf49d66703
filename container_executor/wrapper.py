"""The shell that every rank starts under inside an image.

A plain program that is process 1 of a container ignores TERM and even its own ``kill -9 $$`` (pid_namespaces(7)), and a shell
forwards no signal to its child. So the first program is always this small shell: it runs the job as a child, passes TERM on to
every process of the container, waits until the child has really ended, and ends with the child's exit code. An image without
``sh`` cannot run.
"""

from collections.abc import Sequence

_SCRIPT = (
    # A TERM that comes before the child's number is known (_e) is passed on afterwards.
    "_p=; _e=; _r=; if [ $$ -eq 1 ]; then _k=-1; else _k=; fi; "
    "trap '_t=1; [ \"$_p\" ] || _e=1; kill -TERM ${_k:-$_p} 2>/dev/null' TERM; "
    '"$@" & _p=$!; [ -z "$_e" ] || kill -TERM $_p; '
    # A trap ends `wait` with 143, be the child alive or, in the same moment, dead and reaped: so after a trap wait once more.
    # Only if that finds no child (127) was the former code its own.
    'while :; do _t=; wait $_p; _s=$?; [ "$_r" ] && [ $_s -eq 127 ] || _r=$_s; [ "$_t" ] || break; done; exit $_r'
)


def wrap(argv: Sequence[str]) -> list[str]:
    """Return the argument list that runs *argv* under the wrapper.

    The exit code is the program's own; 128 + n where signal n ended it; 127 where the image has no such program and 126
    where it cannot be executed.
    """
    return ["sh", "-c", _SCRIPT, "ce", *argv]
