"""Output that a node rotates away every few seconds, while its connections break and the daemon is killed."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from anyio.from_thread import BlockingPortal
from colonies import Colony, DaemonProgram, wait_for
from faulty import OverHttp, faulty_engine, with_settings
from sizes import sizes

from container_executor.client import ProcessState

STEP = 1000
"""Lines of each tenth of a second; with the kubelet's stamps that is 0.5 MB/s, of which the node keeps 1 MiB, and looks every 3 s."""
FIRST = 100_000_000
"""The number of the first line. All have nine digits, so that part of a line is told from a line."""
MARK = "ColonyOS: output of rank 0 may be missing here"


@pytest.fixture
def engine(portal: BlockingPortal) -> Iterator[OverHttp]:
    """A cluster whose jobs run on the node that rotates."""
    with faulty_engine("kube", portal) as found:
        assert isinstance(found, OverHttp)
        node = json.dumps({"kubernetes.io/hostname": os.environ["CE_KUBE_ROTATING"]})
        taint = os.environ["CE_KUBE_ROTATING_TAINT"]
        found.site = with_settings(found.site, node_selector=node, tolerations=taint)
        yield found


@sizes("seconds", ci=12, soak=120)
def test_output_that_is_rotated_away_again_and_again_is_whole_or_says_where_it_is_not(
    colony: Colony, engine: OverHttp, runner: DaemonProgram, patience: float, seconds: int
) -> None:
    step = f"seq $(({FIRST}+i*{STEP})) $(({FIRST}+i*{STEP}+{STEP - 1})); i=$((i+1)); sleep 0.1"
    line = f"i=0; while [ $i -lt {seconds * 10} ]; do {step}; done; exit 3"
    process_id = colony.submit(line, image=engine.site.image, maxexectime=3600)
    wait_for(lambda: colony.output(process_id), "its first lines", patience)

    killed, firsts = False, {FIRST}
    while not colony.process(process_id).state.ended:
        firsts.add(first_number_at_the_node())
        engine.wire.reset(engine.logs)
        if len(firsts) > 1 and not killed:
            runner.kill()
            runner.start(**engine.variables)
            killed = True
        time.sleep(2)  # the fault itself

    assert killed
    assert len(firsts) > seconds / 6
    assert (colony.verdict(process_id)["exit_code"], colony.process(process_id).state) == (3, ProcessState.FAILED)
    numbers, marked = numbers_of(colony.log(process_id))
    end = FIRST + seconds * 10 * STEP
    assert numbers == sorted(set(numbers))
    assert (numbers[0], numbers[-1] < end) == (FIRST, True)
    assert {number for number, after in pairwise([*numbers, end]) if after != number + 1} <= marked


def first_number_at_the_node() -> int:
    """Return the first line of what the node still has, FIRST while it has nothing."""
    name = admin(
        "get", "pods", f"--field-selector=spec.nodeName={os.environ['CE_KUBE_ROTATING']}", "--output=name"
    ).strip()
    first = admin("logs", name, "--limit-bytes=100").partition("\n")[0] if name else ""
    return int(first or FIRST)


def admin(*words: str) -> str:
    """Run kubectl as the administrator; what cannot be told this moment is empty."""
    known = [f"--kubeconfig={os.environ['CE_KUBECONFIG_ADMIN']}", f"--namespace={os.environ['CE_KUBE_NAMESPACE']}"]
    return subprocess.run(
        [os.environ["CE_KUBECTL"], *known, *words], check=False, capture_output=True, text=True, timeout=60
    ).stdout


def numbers_of(log: str) -> tuple[list[int], set[int]]:
    """Return the numbers that a log has, and those of them after which it says that output may be missing.

    A part of a number stands beside such a notice only: containerd cuts a line in two where a rotation meets it.
    """
    numbers, marked = list[int](), set[int]()
    lines = [line for line in log.splitlines() if line]
    for before, line, after in zip(["", *lines], lines, [*lines[1:], ""], strict=False):
        if line.startswith(MARK):
            marked.add(numbers[-1])
        elif line.isdigit() and len(line) == len(str(FIRST)):
            numbers.append(int(line))
        elif line.isdigit():
            assert before.startswith(MARK) or after.startswith(MARK), line
    return numbers, marked
