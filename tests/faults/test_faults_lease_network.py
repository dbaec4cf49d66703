"""A network that loses, delays and refuses calls between a daemon and its server: every process ends once, its log is whole."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from colonies import Colony, DaemonProgram, wait_for
from heartbeat import beating, heartbeat, one_after_another
from proxy import Harm, Proxy

from container_executor.client import ProcessState

ABOUT_IT = ("assignprocessmsg", "addlogmsg", "addattributemsg", "closefailedmsg")
LINES = [f"line {number}" for number in range(1, 6)]
COUNTS = "for i in 1 2 3 4 5; do echo line $i; sleep 0.2; done"


@pytest.fixture
def daemon(proxy: Proxy, make_daemon: Callable[..., DaemonProgram]) -> DaemonProgram:
    """A daemon behind the bad network."""
    made = make_daemon(port=proxy.port)
    made.start()
    wait_for(lambda: proxy.seen["assignprocessmsg"], "its first question for work")
    return made


@pytest.mark.parametrize("harm", [Harm.LOSE_REPLY, Harm.LOSE_CALL, Harm.FAIL_AFTER], ids=lambda harm: harm.name)
def test_a_process_ends_once_whatever_becomes_of_the_calls_about_it(
    colony: Colony, proxy: Proxy, make_daemon: Callable[..., DaemonProgram], tmp_path: Path, harm: Harm
) -> None:
    ran = tmp_path / "ran"
    for message in ABOUT_IT:
        proxy.harm(message, *[harm] * (2 if harm is Harm.LOSE_CALL else 1))
    process_id = colony.submit(f"echo once >> {ran}; {COUNTS}; exit 7")
    daemon = make_daemon(port=proxy.port)
    daemon.start()

    ended = colony.wait(process_id)

    assert all(proxy.done(message) for message in ABOUT_IT)
    assert ended.state is ProcessState.FAILED
    assert colony.output(process_id) == LINES
    assert colony.log(process_id).count("user_exit") == 1
    assert colony.outcome(process_id)["exitcode"] == "7"
    assert ran.read_text() == "once\n"
    wait_for(daemon.idle, "nothing left of the job")


def test_a_lost_reply_to_a_successful_close_leaves_the_output_as_it_is(
    colony: Colony, daemon: DaemonProgram, proxy: Proxy
) -> None:
    proxy.harm("closesuccessfulmsg", Harm.LOSE_REPLY)
    process_id = colony.submit("""echo '["one", 2]' > $COLONIES_OUTPUT""")

    assert colony.wait(process_id).state is ProcessState.SUCCESS
    wait_for(daemon.idle, "nothing left of the job")
    assert colony.process(process_id).output == ["one", 2]


def test_connections_that_break_again_and_again_cost_no_line_and_no_second_run(
    colony: Colony, daemon: DaemonProgram, proxy: Proxy, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    process_id = colony.submit(f"echo once >> {ran}; for i in $(seq 400); do echo line $i; sleep 0.01; done")

    while not colony.process(process_id).state.ended:
        proxy.reset()
        time.sleep(0.3)  # the fault itself: a network that breaks three times a second

    assert colony.process(process_id).state is ProcessState.SUCCESS
    assert colony.output(process_id) == [f"line {i}" for i in range(1, 401)]
    assert ran.read_text() == "once\n"


def test_a_job_that_ends_while_the_server_is_away_is_closed_when_it_is_back(
    colony: Colony, daemon: DaemonProgram, proxy: Proxy, tmp_path: Path
) -> None:
    begun, over = tmp_path / "begun", tmp_path / "over"
    process_id = colony.submit(f"touch {begun}; sleep 0.5; {COUNTS}; touch {over}; exit 4")
    wait_for(begun.exists, "its start")

    proxy.cut()
    wait_for(over.exists, "its end")
    wait_for(lambda: proxy.seen["addlogmsg"] > 2, "an attempt to tell")
    assert colony.process(process_id).state is ProcessState.RUNNING
    proxy.mend()

    assert colony.wait(process_id).state is ProcessState.FAILED
    assert colony.outcome(process_id)["exitcode"] == "4"
    assert colony.output(process_id) == LINES


def test_a_job_is_stopped_before_the_deadline_of_a_server_that_cannot_be_reached(
    colony: Colony, daemon: DaemonProgram, proxy: Proxy, tmp_path: Path
) -> None:
    beats = tmp_path / "beats"
    process_id = colony.submit(heartbeat(beats), maxexectime=6, maxretries=1)
    wait_for(partial(beating, beats), "its first heartbeat")

    proxy.cut()
    colony.wait(process_id, ProcessState.WAITING)
    proxy.mend()

    ended = colony.wait(process_id)
    assert ended.state is ProcessState.FAILED
    assert ended.attempt == 1
    assert one_after_another(beats)
    assert "lease_expired" in ended.errors[0]


def test_a_server_that_is_slow_with_one_log_delays_no_other_process(
    colony: Colony, daemon: DaemonProgram, proxy: Proxy
) -> None:
    proxy.delay = 5.0
    proxy.harm("addlogmsg", *[Harm.LATE] * 3)
    slow = [colony.submit(COUNTS) for _ in range(3)]
    wait_for(lambda: proxy.done("addlogmsg"), "three calls that hang")

    others = [colony.submit("true") for _ in range(5)]
    for process_id in others:
        assert colony.wait(process_id).state is ProcessState.SUCCESS
    unfinished = [process_id for process_id in slow if not colony.process(process_id).state.ended]

    assert unfinished, "the slow calls were over before the others were closed"
    for process_id in slow:
        assert colony.wait(process_id).state is ProcessState.SUCCESS
        assert colony.output(process_id) == LINES


def test_a_server_that_fails_for_a_while_finds_the_daemon_waiting(
    colony: Colony, daemon: DaemonProgram, proxy: Proxy
) -> None:
    for message in ("assignprocessmsg", "getprocesshistmsg", "addlogmsg", "closesuccessfulmsg"):
        proxy.always(message, Harm.FAIL)
    process_id = colony.submit("echo patience")
    wait_for(lambda: proxy.seen["assignprocessmsg"] > 3, "some refusals")
    proxy.mend()

    assert colony.wait(process_id).state is ProcessState.SUCCESS
    assert colony.output(process_id) == ["patience"]


def test_a_slow_server_gets_the_whole_log_of_a_job_that_has_long_ended(
    colony: Colony, daemon: DaemonProgram, proxy: Proxy
) -> None:
    proxy.delay = 2.4
    proxy.always("addlogmsg", Harm.LATE)
    process_id = colony.submit("seq 1 600000", maxexectime=300)

    assert colony.wait(process_id, patience=120).state is ProcessState.SUCCESS
    assert colony.output(process_id) == [str(number) for number in range(1, 600_001)]
