"""Submitting, listing, showing, following and cancelling against a real server."""

import json
import signal
from pathlib import Path
from typing import Any

import anyio
import click
import pytest
from colonies import wait_for

from container_executor.cli.connection import full_id
from container_executor.client import Client, Process, ProcessState
from tests.cli.conftest import Colony, Worker


def spec(worker: Worker | None = None, **changes: Any) -> str:
    wanted = {
        "funcname": "execute",
        "kwargs": {"cmd": "echo", "docker-image": "busybox"},
        "conditions": {"executortype": worker.name if worker else "nobody", **changes.pop("conditions", {})},
        "maxexectime": 60,
    }
    return json.dumps({**wanted, **changes})


def submit(colony: Colony, text: str) -> str:
    result = colony.run("submit", "-", stdin=text)
    assert result.exit_code == 0, result.stderr
    return result.stdout.strip()


def process(colony: Colony, process_id: str) -> Process:
    return colony.call(lambda client: client.process(process_id))


# --- submit -----------------------------------------------------------------------------------------------------------


def test_submit_prints_the_id_and_sends_what_the_server_understands(colony: Colony) -> None:
    process_id = submit(colony, spec(conditions={"cpu": "2", "mem": "1Gi", "processes-per-node": 2}))

    conditions = process(colony, process_id).spec["conditions"]
    assert (conditions["cpu"], conditions["mem"], conditions["processespernode"]) == ("2000m", "1024Mi", 2)
    assert conditions["colonyname"] == "dev"


def test_several_specs_are_submitted_from_files_and_the_standard_input(colony: Colony, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(spec(label="from-file"))

    result = colony.run("submit", str(tmp_path / "a.json"), "-", stdin=spec(label="from-stdin"))

    labels = [process(colony, process_id).spec["label"] for process_id in result.stdout.split()]
    assert labels == ["from-file", "from-stdin"]


def test_nothing_is_submitted_unless_every_spec_is_right(colony: Colony, tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text(spec(label="never-submitted"))
    (tmp_path / "bad.json").write_text(spec(conditions={"mem": "much", "cpu": "many"}))

    result = colony.run("submit", str(tmp_path / "good.json"), str(tmp_path / "bad.json"))

    assert result.exit_code == 65
    assert "bad.json: conditions.mem: 'much' is no size" in result.stderr
    assert "bad.json: conditions.cpu: 'many' is no number of cores" in result.stderr
    assert result.stderr.startswith("error: ")
    assert json.loads(colony.run("ps", "--label", "never-submitted", "--json").stdout) == []


def test_set_changes_the_spec_before_it_is_read(colony: Colony) -> None:
    result = colony.run(
        "submit", "-", "--json",
        "--set", "kwargs.args[0]=1.50", "--set", "kwargs.args.1=two words", "--set", "env.A=b=c", "--set", "conditions.nodes=2",
        stdin=spec(),
    )  # fmt: skip

    (submitted,) = json.loads(result.stdout)
    assert submitted["state"] == "waiting"
    assert submitted["spec"]["kwargs"]["args"] == ["1.5", "two words"]
    assert submitted["spec"]["env"] == {"A": "b=c"}
    assert submitted["spec"]["conditions"]["nodes"] == 2


def test_a_warning_about_a_spec_is_shown_and_does_not_stop_it(colony: Colony) -> None:
    result = colony.run("submit", "-", stdin=spec(conditions={"storage": "1Gi"}))

    assert result.exit_code == 0
    assert "warning: standard input: conditions.storage: " in result.stderr


def test_submit_says_when_no_server_answers(colony: Colony) -> None:
    result = colony.run("submit", "-", "--port", "1", stdin=spec())

    assert result.exit_code == 69
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr


# --- follow -----------------------------------------------------------------------------------------------------------


def outcome(**fields: Any) -> str:
    return json.dumps({"succeeded": False, **fields})


@pytest.mark.parametrize(
    ("account", "code"),
    [
        ({"failure": "user_exit", "exit_code": 3}, 3),
        ({"failure": "oom", "exit_code": 137}, 137),
        ({"failure": "walltime", "exit_code": 143}, 143),
        ({"failure": "node_lost", "exit_code": 1}, 71),
        ({"failure": "lease_expired"}, 75),
        ({"failure": "invalid_spec"}, 65),
        ({"failure": "cancelled"}, 72),
        ({"failure": "something-newer"}, 71),
        ({}, 71),
    ],
)
def test_following_ends_with_the_code_of_the_job_or_of_what_kept_it_from_having_one(
    colony: Colony, worker: Worker, account: dict[str, Any], code: int
) -> None:
    following = colony.start("submit", write(colony, spec(worker)), "--follow")
    taken = worker.take()
    worker.call(lambda client: client.add_log(taken.id, "first\nhalf"))
    worker.call(lambda client: client.add_log(taken.id, " a line\n"))
    if account:
        worker.call(lambda client: client.add_attribute(taken.id, "outcome", outcome(**account)))
    worker.call(lambda client: client.close_failed(taken.id, ["it broke"]))

    out, err = following.communicate(timeout=30)

    assert following.returncode == code
    assert out == b"first\nhalf a line\n"
    assert err.decode().splitlines() == [taken.id, f"error: process {taken.id[:12]}: it broke"]


def test_following_a_success_ends_with_0_and_as_json_with_one_line_for_each_entry(
    colony: Colony, worker: Worker
) -> None:
    following = colony.start("submit", write(colony, spec(worker)), "--follow", "--json")
    taken = worker.take()
    worker.call(lambda client: client.add_log(taken.id, "a\nb\n"))
    worker.call(lambda client: client.close_successful(taken.id, []))

    out, _ = following.communicate(timeout=30)

    entry, end = (json.loads(line) for line in out.splitlines())
    assert following.returncode == 0
    assert (entry["message"], entry["executor"]) == ("a\nb\n", worker.name)
    assert (end["processid"], end["state"], end["exitcode"]) == (taken.id, "success", 0)


def test_ctrl_c_while_following_says_what_goes_on_and_how_to_end_it(colony: Colony, worker: Worker) -> None:
    following = colony.start("submit", write(colony, spec(worker)), "--follow")
    taken = worker.take()

    following.send_signal(signal.SIGINT)
    _, err = following.communicate(timeout=30)

    short = taken.id[:12]
    assert following.returncode == 130
    assert (
        f"process {short} goes on; container-executor logs -f {short} follows it, cancel {short} ends it"
        in err.decode()
    )
    assert "Traceback" not in err.decode()
    assert process(colony, taken.id).state is ProcessState.RUNNING


def test_a_reader_that_goes_away_ends_following_quietly(colony: Colony, worker: Worker) -> None:
    following = colony.start("submit", write(colony, spec(worker)), "--follow")
    taken = worker.take()
    assert following.stdout is not None
    following.stdout.close()
    worker.call(lambda client: client.add_log(taken.id, "nobody reads this\n"))

    assert following.wait(30) == 141
    assert following.stderr is not None
    assert following.stderr.read().decode().splitlines() == [taken.id]
    following.stderr.close()


# --- logs -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def logged(colony: Colony, worker: Worker) -> str:
    """Return a process of two ranks with a log, whose lines are split between entries."""
    process_id = submit(colony, spec(worker, conditions={"nodes": 2}))
    worker.take()

    async def add(client: Client) -> None:
        for text in ("ColonyOS: begins\n[0] zero\n[1] on", "e \x1b[31mred\x07\n[0] é\n", "[10] no\n[1] last\n"):
            await client.add_log(process_id, text)

    worker.call(add)
    worker.call(lambda client: client.close_successful(process_id, []))
    return process_id


LOG = "ColonyOS: begins\n[0] zero\n[1] one \x1b[31mred\x07\n[0] é\n[10] no\n[1] last\n"


def test_a_log_into_a_pipe_is_what_the_server_has(colony: Colony, logged: str) -> None:
    assert colony.run("logs", logged[:10]).stdout_bytes.decode() == LOG


def test_a_rank_of_a_log_comes_without_labels(colony: Colony, logged: str) -> None:
    assert colony.run("logs", logged, "--rank", "1").stdout_bytes.decode() == "one \x1b[31mred\x07\nlast\n"
    refused = colony.run("logs", logged, "--rank", "2")
    assert refused.exit_code == 64
    assert "the process has 2 ranks, counted from 0; there is no rank 2" in refused.stderr


def test_following_an_ended_process_prints_its_log_and_ends(colony: Colony, logged: str) -> None:
    result = colony.run("logs", "-f", logged)

    assert (result.exit_code, result.stdout_bytes.decode()) == (0, LOG)


def test_a_long_log_is_read_to_its_end(colony: Colony, worker: Worker) -> None:
    process_id = submit(colony, spec(worker))
    worker.take()

    async def add(client: Client) -> None:
        for number in range(501):
            await client.add_log(process_id, f"{number}\n")

    worker.call(add)

    assert colony.run("logs", process_id).stdout == "".join(f"{number}\n" for number in range(501))


# --- ps, get, cancel --------------------------------------------------------------------------------------------------


def test_ps_shows_waiting_and_running_ones_and_all_with_all(colony: Colony, worker: Worker) -> None:
    waiting = submit(colony, spec(worker, label=worker.name))
    lists = ["ps", "--label", worker.name, "-q"]
    assert colony.run(*lists).stdout.split() == [waiting]

    worker.take()
    assert colony.run(*lists, "--state", "waiting").stdout.split() == []
    assert colony.run(*lists, "--state", "running").stdout.split() == [waiting]

    worker.call(lambda client: client.close_successful(waiting, []))
    assert colony.run(*lists).stdout.split() == []
    assert colony.run(*lists, "--all").stdout.split() == [waiting]


def test_ps_tells_function_executor_and_result(colony: Colony, worker: Worker) -> None:
    process_id = submit(colony, spec(worker, label=worker.name))
    worker.take()
    worker.call(lambda client: client.add_attribute(process_id, "outcome", outcome(failure="user_exit", exit_code=3)))
    worker.call(lambda client: client.close_failed(process_id, ["it broke"]))

    _, row = colony.run("ps", "-a", "--label", worker.name).stdout.splitlines()

    assert row.split()[:5] == [process_id[:12], "failed", "execute", "busybox", worker.name]
    assert row.endswith("3 user_exit")


def test_ps_takes_one_filter_at_a_time(colony: Colony) -> None:
    result = colony.run("ps", "--label", "a", "--user", "b")

    assert result.exit_code == 64
    assert "one of --type, --label and --user" in result.stderr


def test_get_shows_a_process_and_its_reason(colony: Colony, worker: Worker) -> None:
    process_id = submit(colony, spec(worker))
    worker.take()
    worker.call(
        lambda client: client.add_attribute(process_id, "outcome", outcome(failure="oom", exit_code=137, node="n1"))
    )
    worker.call(lambda client: client.close_failed(process_id, ["too much memory"]))

    lines = dict(
        line.split(maxsplit=1)
        for line in colony.run("get", process_id[:8]).stdout.splitlines()
        if len(line.split()) > 1
    )
    described = json.loads(colony.run("get", process_id, "--json").stdout)

    assert (lines["state"], lines["reason"], lines["failure"], lines["executor"]) == (
        "failed",
        "too much memory",
        "oom",
        worker.name,
    )
    assert (described["id"], described["state"], described["outcome"]["exit_code"]) == (process_id, "failed", 137)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("ffffffff", 66, "no process among the latest"),
        ("0" * 64, 66, "refused"),
        ("xyz", 64, "is no process id"),
        ("ab", 64, "is no process id"),
    ],
)
def test_an_id_that_leads_nowhere_is_refused(colony: Colony, text: str, code: int, words: str) -> None:
    result = colony.run("get", text)

    assert result.exit_code == code
    assert words in result.stderr


def test_a_beginning_that_several_ids_share_is_refused_with_all_of_them() -> None:
    ids = ["abcd1" + "0" * 59, "abcd2" + "0" * 59]

    class Listing:
        async def processes(self, state: ProcessState, *, count: int) -> list[Process]:
            return [Process(id=each, state=state, spec={}, colony="dev") for each in ids]

    listing: Any = Listing()
    with pytest.raises(click.UsageError, match=r"abcd begins several ids: abcd10+, abcd20+; write more of it"):
        anyio.run(full_id, listing, "abcd")
    assert anyio.run(full_id, listing, "ABCD2") == ids[1]


def test_cancel_ends_waiting_and_running_ones_and_leaves_ended_ones(colony: Colony, worker: Worker) -> None:
    running, waiting = submit(colony, spec(worker)), submit(colony, spec())
    worker.take()

    result = colony.run("cancel", running[:12], waiting)

    assert (result.exit_code, result.stdout.split()) == (0, [running, waiting])
    assert {process(colony, each).state for each in (running, waiting)} == {ProcessState.CANCELLED}
    again = colony.run("cancel", running)
    assert (again.exit_code, again.stdout) == (0, "")
    assert "has ended already: cancelled" in again.stderr


def test_cancelling_goes_on_after_one_that_is_unknown(colony: Colony) -> None:
    waiting = submit(colony, spec())

    result = colony.run("cancel", "f" * 64, waiting)

    assert result.exit_code == 66
    assert result.stdout.split() == [waiting]


def test_executors_are_listed_with_what_they_say_they_have(colony: Colony, worker: Worker) -> None:
    rows = [line.split() for line in colony.run("executors").stdout.splitlines()]
    described = {each["name"]: each for each in json.loads(colony.run("executors", "--json").stdout)}

    assert [worker.name, worker.name, "approved"] in [row[:3] for row in rows]
    assert described[worker.name]["state"] == "approved"


def test_a_stranger_is_told_that_the_server_denies_it(colony: Colony, tmp_path: Path) -> None:
    key = tmp_path / "stranger.key"
    colony.run("keys", "new", str(key))

    result = colony.run("ps", "--key-file", str(key), "-o", "server.timeout=5s")

    assert result.exit_code == 77
    assert result.stderr.startswith("error: the server refused")


def write(colony: Colony, text: str) -> str:
    file = colony.data / f"spec-{abs(hash(text))}.json"
    file.write_text(text)
    return str(file)


def test_the_daemon_and_the_command_line_meet_at_the_server(colony: Colony, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(
        f'backend = "process"\nstate_dir = "{tmp_path}/state"\n'
        '[executor]\nname = "real"\ntype = "real"\nhealth_port = 0\n'
        "[backends.process]\nallow_host_execution = true\n"
    )
    daemon = colony.start("run", "--config", str(tmp_path / "site.toml"), without="COLONIES_PRVKEY")
    try:
        wait_for(lambda: "real" in colony.run("executors").stdout, "the daemon at the server")
        wanted = spec(
            conditions={"executortype": "real", "nodes": 2}, kwargs={"cmd": "echo out; exit $RANK", "docker-image": "x"}
        )
        result = colony.run("submit", "-", "--follow", stdin=wanted)
    finally:
        daemon.send_signal(signal.SIGTERM)
        _, err = daemon.communicate(timeout=60)

    assert result.exit_code == 1, result.stderr
    assert sorted(line for line in result.stdout.splitlines() if line.startswith("[")) == ["[0] out", "[1] out"]
    assert "user_exit: rank 1 ended with exit code 1" in result.stderr
    assert b"Traceback" not in err
