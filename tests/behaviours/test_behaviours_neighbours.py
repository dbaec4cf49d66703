"""One bad job, backend or answer hurts nobody else; and an engine that does not answer is not an answer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from colonies import Colony, DaemonProgram, wait_for
from locked_store import locked_store
from proxy import Harm, Proxy

from container_executor.client import ProcessState

HOST = "backends.process.allow_host_execution=true"


GOOD = 200
FAILING = ("assignprocessmsg", "addlogmsg", "closesuccessfulmsg", "closefailedmsg")


def test_good_jobs_end_well_among_bad_ones_while_the_server_fails_and_the_clock_is_set(
    colony: Colony, proxy: Proxy, make_daemon: Callable[..., DaemonProgram], tmp_path: Path
) -> None:
    clock = tmp_path / "clock"
    _set_clock(clock, 0)
    with locked_store("right") as store:
        daemon = make_daemon(options=(HOST, *store.options), port=proxy.port)
        daemon.start(
            CE_FAULTY=str(tmp_path), CE_CLOCK=str(clock), AWS_S3_ACCESSKEY="wrong", AWS_S3_SECRETKEY="wrong-too"
        )
        for message in FAILING:
            proxy.harm(message, *[Harm.FAIL, Harm.FAIL_AFTER] * 3)
        bad = _submit_bad(colony)
        hanging = [colony.submit("true", image="blocks", maxexectime=600) for _ in range(3)]
        good = [colony.submit(f"echo {number}") for number in range(GOOD)]
        for number, process_id in enumerate(good):
            if number % 20 == 10:
                _set_clock(clock, (3600, -3600, 0)[number // 20 % 3])
            assert colony.wait(process_id).state is ProcessState.SUCCESS
            assert colony.output(process_id) == [str(number)]
        classes = {name: _failure(colony, process_id) for name, process_id in bad.items()}

    assert classes == {
        "raises": "executor_internal",
        "function": "invalid_spec",
        "key": None,
        "args": "invalid_spec",
        "program": "user_exit",
        "output": "user_exit",
        "store": "staging_out",
        "staging": "user_exit",
    }
    assert {colony.process(process_id).state for process_id in hanging} == {ProcessState.RUNNING}
    assert "ZeroDivisionError: a fault in the staging" in colony.log(bad["staging"])
    assert all(map(proxy.done, FAILING))
    assert daemon.metrics()["container_executor_loop_lag_seconds_count"] > 0
    daemon.kill()


def _set_clock(clock: Path, seconds: int) -> None:
    fresh = clock.with_suffix(".new")
    fresh.write_text(str(seconds))
    fresh.replace(clock)


def _submit_bad(colony: Colony) -> dict[str, str]:
    def files(label: str) -> dict[str, Any]:
        return {"mount": "/ce-cfs", "dirs": [{"label": label, "dir": label}]}

    return {
        "raises": colony.submit("true", image="raises"),
        "function": _submit(colony, funcname="no-such-function"),
        "key": _submit(colony, kwargs={"cmd": "true", "docker-image": "busybox", "cmdd": "x"}),
        "args": _submit(colony, kwargs={"cmd": "true", "docker-image": "busybox", "args": [{"a": 1}]}),
        "program": colony.submit("/no/such/program"),
        "output": colony.submit("head -c 100000 /dev/zero | tr '\\0' x > $COLONIES_OUTPUT"),
        "store": colony.submit("echo result > /ce-cfs/out/result", fs=files("/out")),
        "staging": colony.submit("exit 4", fs=files("/faulty")),
    }


def test_an_engine_that_does_not_answer_decides_nothing(colony: Colony, daemon: DaemonProgram, tmp_path: Path) -> None:
    begun, silent, over = tmp_path / "begun", tmp_path / "silent", tmp_path / "over"
    daemon.start(CE_FAULTY=str(tmp_path))
    process_id = colony.submit(f"touch {begun}; until [ -e {silent} ]; do sleep 0.1; done; touch {over}; exit 6")
    wait_for(begun.exists, "its start")

    silent.touch()
    wait_for(over.exists, "its end")
    wait_for(lambda: daemon.health()["engine_unanswered_seconds"] > 3, "the age of the last answer in the report")
    meanwhile = colony.process(process_id).state
    silent.unlink()

    assert meanwhile is ProcessState.RUNNING
    assert colony.wait(process_id).state is ProcessState.FAILED
    assert colony.outcome(process_id)["exitcode"] == "6"
    wait_for(lambda: daemon.health()["engine_unanswered_seconds"] == 0, "an answer")


def test_output_above_the_limit_keeps_its_head_and_its_tail_and_changes_no_verdict(
    colony: Colony, make_daemon: Callable[..., DaemonProgram]
) -> None:
    daemon = make_daemon(options=(HOST, "executor.log_cap=1Mi"))
    daemon.start()
    wait_for(lambda: '"running"' in daemon.log(), "its registration")
    before, _ = daemon.weight()
    process_id = colony.submit("echo first; yes 0123456789abcdef | head -c 17000000; echo last; exit 2")
    neighbour = colony.submit("echo fine")

    assert colony.wait(neighbour).state is ProcessState.SUCCESS
    assert colony.wait(process_id, patience=120).state is ProcessState.FAILED
    log = colony.log(process_id)
    assert colony.outcome(process_id)["exitcode"] == "2"
    assert len(log) < 2 * 2**20
    assert colony.output(process_id)[0] == "first"
    assert "last" in colony.output(process_id)
    assert "characters of output left out here" in log
    assert daemon.weight()[0] - before < 64 * 2**20


def test_a_progress_bar_becomes_few_lines(colony: Colony, daemon: DaemonProgram) -> None:
    daemon.start()
    process_id = colony.submit(
        "i=0; while [ $i -lt 300 ]; do printf '\\r%d of 300' $i; i=$((i+1)); sleep 0.01; done; echo"
    )

    assert colony.wait(process_id).state is ProcessState.SUCCESS
    lines = colony.output(process_id)
    assert lines[-1] == "299 of 300"
    assert len(lines) < 10


def _submit(colony: Colony, **fields: object) -> str:
    """Submit what our own command line would refuse."""
    spec = {
        "funcname": "execute",
        "conditions": {"colonyname": colony.name, "executortype": "container-executor", "cpu": "100m", "mem": "10Mi"},
        "kwargs": {"cmd": "true", "docker-image": "busybox"},
        "maxexectime": 60,
        **fields,
    }
    process_id: str = colony.call(colony.client.submit, spec).id
    return process_id


def _failure(colony: Colony, process_id: str) -> str | None:
    colony.wait(process_id)
    failure: str | None = colony.verdict(process_id).get("failure")
    return failure
