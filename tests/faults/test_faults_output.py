"""Output over connections that break or hang, hostile output, and a server that takes it slowly, on every backend."""

import time
from collections.abc import Callable, Iterator

import attrs
import pytest
from anyio.from_thread import BlockingPortal
from colonies import Colony, DaemonProgram, wait_for
from faulty import OverHttp, faulty_engine
from proxy import Harm, Proxy
from sites import ENGINES, site_of
from sizes import sizes
from wire import Fault

from container_executor.client import ProcessState

MakeDaemon = Callable[..., DaemonProgram]


@pytest.fixture(params=["docker", "kube"])
def engine(request: pytest.FixtureRequest, portal: BlockingPortal) -> Iterator[OverHttp]:
    """An engine whose output comes over connections."""
    with faulty_engine(request.param, portal) as found:
        assert isinstance(found, OverHttp)
        yield found


@attrs.frozen
class Flood:
    """How many ranks print how many lines each, and how many seconds lie between two resets."""

    ranks: int
    lines: int
    every: float


@sizes("flood", ci=Flood(2, 2000, 0.5), soak=Flood(4, 200_000, 2.0))
def test_output_is_whole_and_in_order_whose_connection_breaks_again_and_again_and_whose_daemon_is_killed(
    colony: Colony, engine: OverHttp, runner: DaemonProgram, patience: float, flood: Flood
) -> None:
    steps = (
        f"i=0; while [ $i -lt {flood.lines} ]; do echo line $i; i=$((i+1)); "
        f"[ $((i % {flood.lines // 8})) != 0 ] || sleep 0.5; done"
    )
    conditions = {"processespernode": flood.ranks}
    process_id = colony.submit(steps, image=engine.site.image, maxexectime=3600, conditions=conditions)
    wait_for(lambda: "[1] line 0" in colony.output(process_id), "its first line", patience)

    broken, killed = 0, False
    while not colony.process(process_id).state.ended:
        broken += engine.wire.reset(engine.logs)
        if broken >= 2 and not killed:
            runner.kill()
            runner.start(**engine.variables)
            killed = True
        time.sleep(flood.every)  # the fault itself

    assert killed
    assert broken >= 3
    assert colony.process(process_id).state is ProcessState.SUCCESS
    for rank in range(flood.ranks):
        mine = [line for line in colony.output(process_id) if line.startswith(f"[{rank}] ")]
        assert mine == [f"[{rank}] line {number}" for number in range(flood.lines)]


def test_the_end_of_a_job_is_seen_while_its_output_hangs_and_no_line_is_lost(
    colony: Colony, engine: OverHttp, runner: DaemonProgram, patience: float
) -> None:
    process_id = colony.submit("echo begun; sleep 3; echo done; exit 4", image=engine.site.image, maxexectime=600)
    wait_for(lambda: "begun" in colony.output(process_id), "its first line", patience)

    engine.wire.always(engine.logs, Fault.SILENT)
    engine.wire.stall(engine.logs)
    wait_for(lambda: colony.outcome(process_id).get("exitcode") == "4", "its end", 3 + 10)
    engine.wire.mend()

    assert colony.wait(process_id, patience=patience).state is ProcessState.FAILED
    assert colony.output(process_id) == ["begun", "done"]


HOSTILE = (
    "echo first; head -c {size} /dev/zero | tr '\\0' x; echo; "
    'i=0; while [ $i -lt 256 ]; do printf "\\\\$(printf %03o $i)"; i=$((i+1)); done; echo; '
    "printf 'caf\\303'; sleep 0.3; printf '\\251\\n'; "
    "i=0; while [ $i -lt 300 ]; do printf '\\r%d of 300' $i; i=$((i+1)); done; echo; echo last; exit 2"
)
"""A line without an end, every byte there is, a character in two writes, and a progress bar."""


@pytest.mark.parametrize("backend", ENGINES)
@sizes("size", ci=20_000_000, soak=5_000_000_000)
def test_hostile_output_is_bounded_and_changes_no_verdict(
    colony: Colony, make_daemon: MakeDaemon, backend: str, size: int
) -> None:
    site = site_of(backend)
    daemon = make_daemon(backend=backend, options=(*site.options, "executor.log_cap=1Mi"))
    daemon.start()
    wait_for(lambda: '"running"' in daemon.log(), "its registration")
    before, _ = daemon.weight()
    process_id = colony.submit(HOSTILE.format(size=size), image=site.image, maxexectime=3600)

    patience = 60.0 * site.slack + size / 1e6
    assert colony.wait(process_id, patience=patience).state is ProcessState.FAILED
    assert colony.verdict(process_id)["exit_code"] == 2
    assert len(colony.log(process_id)) < 2 * 2**20
    lines = colony.output(process_id)
    assert (lines[0], lines[-1]) == ("first", "last")
    assert "caf\u00e9" in lines
    assert "299 of 300" in lines
    assert daemon.weight()[0] - before < 64 * 2**20


LIVE = ("process", "slurm")
"""Where a line is seen as it grows: dockerd and containerd pass on a line that has no end in pieces of 16 KiB."""
BAR = "i=0; while [ $i -lt {steps} ]; do i=$((i+1)); printf '\\r%d of {steps}' $i; sleep 0.1; done; echo; exit 3"


@pytest.mark.parametrize("backend", ENGINES)
@sizes("seconds", ci=6, soak=600)
def test_a_progress_bar_is_seen_as_it_moves_and_takes_a_line_a_second_at_most(
    colony: Colony, make_daemon: MakeDaemon, backend: str, seconds: int
) -> None:
    site, steps = site_of(backend), seconds * 10
    make_daemon(backend=backend, options=site.options).start()
    began = time.monotonic()
    process_id = colony.submit(BAR.format(steps=steps), image=site.image, maxexectime=3600)
    if backend in LIVE:
        wait_for(lambda: f" of {steps}" in colony.log(process_id), "a state of it", 60.0 * site.slack)
        assert not colony.process(process_id).state.ended

    assert colony.wait(process_id, patience=60.0 * site.slack + 2 * seconds).state is ProcessState.FAILED
    lasted = time.monotonic() - began
    assert colony.verdict(process_id)["exit_code"] == 3
    lines = colony.output(process_id)
    states = [int(line.removesuffix(f" of {steps}")) for line in lines]
    assert states == sorted(set(states))
    assert states[-1] == steps
    assert (seconds / 3 if backend in LIVE else 1) <= len(states) <= lasted + 1


NODE_KEEPS = 500_000
"""Lines that a node of ours keeps of a log before it rotates it (``containerLogMaxSize`` is 32 MiB, and each line has 30 bytes of stamps)."""


@pytest.mark.parametrize("backend", ENGINES)
@sizes("lines", ci=20_000, soak=1_000_000)
def test_a_log_that_the_server_takes_slowly_holds_nobody_else_up_and_is_whole_in_the_end(
    colony: Colony, proxy: Proxy, make_daemon: MakeDaemon, backend: str, lines: int
) -> None:
    site = site_of(backend)
    lines = min(lines, NODE_KEEPS) if backend == "kube" else lines
    daemon = make_daemon(backend=backend, options=site.options, port=proxy.port)
    daemon.start()
    slow = colony.submit(f"echo begun; seq {lines}; exit 3", image=site.image, maxexectime=3600)
    wait_for(lambda: "begun" in colony.output(slow), "its first line", 60.0 * site.slack)
    proxy.delay, proxy.only = 5.0, slow
    proxy.always("addlogmsg", Harm.LATE)

    others = [colony.submit("echo fine", image=site.image) for _ in range(5)]
    for process_id in others:
        assert colony.wait(process_id, patience=20.0 * site.slack).state is ProcessState.SUCCESS
        assert colony.output(process_id) == ["fine"]
    proxy.mend()

    assert colony.wait(slow, patience=60.0 * site.slack).state is ProcessState.FAILED
    assert colony.output(slow) == ["begun", *map(str, range(1, lines + 1))]
