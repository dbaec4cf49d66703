"""A store of files whose connections break, and that is busy or fails now and then: a job's files come in and go out whole, each once."""

from collections.abc import Callable

import pytest
from colonies import Colony, DaemonProgram
from files import Rig
from sites import site_of
from sizes import sizes
from stored import FILES, Stored, rig, stored
from wire import LOSSES

from container_executor.client import ProcessState

__all__ = ["rig", "stored"]

CHANGE = "cd /ce-cfs/data; ls | wc -l; for i in 0 1 2; do echo changed > f$i; done; echo new > new"


@pytest.mark.parametrize("backend", ["process", "docker"])
@sizes("count", ci=60, soak=10_000)
def test_files_come_in_and_go_out_over_connections_that_break(
    colony: Colony, rig: Rig, stored: Stored, make_daemon: Callable[..., DaemonProgram], *, backend: str, count: int
) -> None:
    site = site_of(backend)
    make_daemon(backend=backend, options=(*site.options, *stored.options)).start(**stored.variables)
    rig.sync(rig.place("here", {f"f{number}": f"content {number}\n" * 50 for number in range(count)}), "/data")
    stored.wire.harm("^GET ", *LOSSES * 2)
    stored.wire.harm("^PUT ", *LOSSES)

    process_id = colony.submit(CHANGE, image=site.image, fs=FILES, maxexectime=3600)

    assert colony.wait(process_id, patience=120 + count / 20).state is ProcessState.SUCCESS, colony.log(process_id)
    assert stored.wire.done("^GET ")
    assert stored.wire.done("^PUT ")
    assert colony.output(process_id) == [str(count)]
    for name in ("f0", "f1", "f2", "f3", "new"):
        expected = {"f3": b"content 3\n" * 50, "new": b"new\n"}.get(name, b"changed\n")
        assert rig.content("/data", name) == expected
    assert sum(rig.revisions("/data", f"f{number}") for number in range(count)) == count + 3
