"""Every call: the message that it sends, field by field, and the value that comes back."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from container_executor.client import (
    BadCallError,
    Client,
    Colony,
    Executor,
    ExecutorState,
    FileEntry,
    FileRecord,
    Label,
    NotFoundError,
    ProcessState,
    ProtocolError,
    Snapshot,
    UnsendableError,
    User,
)
from tests.client.conftest import ME, PROCESS, Script, envelope, process_json, raw, refusal

HERE = {"colonyname": "dev"}
NAMED = {"colonyname": "dev", "executorname": "one"}

PLAIN: dict[str, tuple[Callable[[Client], Awaitable[Any]], dict[str, Any]]] = {
    "setoutputmsg": (lambda c: c.set_output(PROCESS, ["x", 1]), {"processid": PROCESS, "out": ["x", 1]}),
    "closesuccessfulmsg": (lambda c: c.close_successful(PROCESS, []), {"processid": PROCESS, "out": []}),
    "closefailedmsg": (lambda c: c.close_failed(PROCESS, ("a", "b")), {"processid": PROCESS, "errors": ["a", "b"]}),
    "addlogmsg": (lambda c: c.add_log(PROCESS, "x\n"), {"processid": PROCESS, "message": "x\n"}),
    "addexecutorlogmsg": (lambda c: c.add_executor_log("one", "x\n"), {**NAMED, "message": "x\n"}),
    "cancelprocessmsg": (lambda c: c.cancel(PROCESS), {"processid": PROCESS}),
    "removeprocessmsg": (lambda c: c.remove(PROCESS), {"processid": PROCESS}),
    "removeallprocessesmsg": (lambda c: c.remove_all(), {**HERE, "state": -1}),
    "cancelprocessgraphmsg": (lambda c: c.cancel_graph(PROCESS), {"processgraphid": PROCESS}),
    "removeprocessgraphmsg": (lambda c: c.remove_graph(PROCESS), {"processgraphid": PROCESS}),
    "approveexecutormsg": (lambda c: c.approve_executor("one"), NAMED),
    "rejectexecutormsg": (lambda c: c.reject_executor("one"), NAMED),
    "removeexecutormsg": (lambda c: c.remove_executor("one"), NAMED),
    "updateexecutormsg": (
        lambda c: c.update_capabilities("one", {"hardware": [{"cpu": "1000m"}], "software": []}),
        {**NAMED, "capabilities": {"hardware": [{"cpu": "1000m"}], "software": []}},
    ),
    "reportallocationmsg": (
        lambda c: c.report_allocation("one", {"projects": {}}),
        {**NAMED, "allocations": {"projects": {}}},
    ),
    "removefunctionmsg": (lambda c: c.remove_function("f1"), {"functionid": "f1"}),
    "pauseassignmentsmsg": (lambda c: c.pause(), HERE),
    "resumeassignmentsmsg": (lambda c: c.resume(), HERE),
    "removecolonymsg": (lambda c: c.remove_colony("old"), {"colonyname": "old"}),
    "removeusermsg": (lambda c: c.remove_user("bob"), {**HERE, "name": "bob"}),
    "removefilemsg": (lambda c: c.remove_file("f1"), {**HERE, "fileid": "f1", "label": "", "name": ""}),
    "removesnapshotmsg": (lambda c: c.remove_snapshot(name="s"), {**HERE, "name": "s"}),
}


@pytest.mark.parametrize("message", PLAIN)
def test_a_call_without_an_answer_sends_its_message(script: Script, message: str) -> None:
    ask, fields = PLAIN[message]
    script.answer(message, {})

    assert script.run(ask) is None
    assert script.asked(message) == [fields]


# --- processes --------------------------------------------------------------------------------------------------------


def test_processes_are_listed_by_one_filter(script: Script) -> None:
    script.answer("getprocessesmsg", [process_json()])

    (process,) = script.run(lambda client: client.processes(ProcessState.WAITING, count=7, label="x"))

    assert process.id == PROCESS
    assert script.asked("getprocessesmsg") == [
        {"colonyname": "dev", "count": 7, "state": 0, "executortype": "", "label": "x", "initiator": ""}
    ]


def test_two_filters_of_which_the_server_would_use_one_are_refused(script: Script) -> None:
    with pytest.raises(UnsendableError, match="give one"):
        script.run(lambda client: client.processes(ProcessState.WAITING, label="x", initiator="alice"))


def test_an_attribute_is_attached_as_a_result_of_the_process_in_its_colony(script: Script) -> None:
    script.answer(
        "addattributemsg", {"attributeid": "a1", "targetid": PROCESS, "attributetype": 1, "key": "k", "value": "v"}
    )

    attribute = script.run(lambda client: client.add_attribute(PROCESS, "k", "v"))

    sent = {"targetid": PROCESS, "targetcolonyname": "dev", "attributetype": 1, "key": "k", "value": "v"}
    assert script.asked("addattributemsg") == [{"attribute": sent}]
    assert (attribute.id, attribute.process_id, attribute.key, attribute.value) == ("a1", PROCESS, "k", "v")


def test_a_state_says_whether_it_is_the_last() -> None:
    assert [state.name for state in ProcessState if state.ended] == ["SUCCESS", "FAILED", "CANCELLED"]


def test_a_graph_is_read(script: Script) -> None:
    row = {
        "processgraphid": PROCESS,
        "colonyname": "dev",
        "initiatorname": "alice",
        "rootprocessids": ["r"],
        "processids": ["r", "c"],
        "state": 1,
        "submissiontime": "2026-01-02T03:04:05Z",
        "starttime": "0001-01-01T00:00:00Z",
    }
    script.answer("getprocessgraphmsg", row)
    script.answer("getprocessgraphsmsg", [row])

    async def both(client: Client) -> list[Any]:
        return [await client.graph(PROCESS), *await client.graphs(ProcessState.RUNNING, count=3)]

    one, other = script.run(both)

    assert one == other
    assert (one.id, one.state, one.root_ids, one.process_ids) == (PROCESS, ProcessState.RUNNING, ("r",), ("r", "c"))
    assert (one.submitted, one.started) == (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), None)
    assert script.asked("getprocessgraphsmsg") == [{"colonyname": "dev", "count": 3, "state": 1}]


# --- logs -------------------------------------------------------------------------------------------------------------


def test_logs_are_asked_for_by_process_and_moment(script: Script) -> None:
    row = {"processid": PROCESS, "executorname": "one", "message": "x\n", "timestamp": 12, "colonyname": "dev"}
    script.answer("getlogsmsg", [row])

    (entry,) = script.run(lambda client: client.logs(PROCESS, since=11, count=3))

    assert (entry.process_id, entry.executor, entry.message, entry.timestamp) == (PROCESS, "one", "x\n", 12)
    assert script.asked("getlogsmsg") == [
        {"colonyname": "dev", "processid": PROCESS, "executorname": "", "count": 3, "since": 11, "latest": False}
    ]


def test_the_newest_entries_of_a_log_may_be_older_than_the_moment(script: Script) -> None:
    script.answer("getlogsmsg", [{"processid": PROCESS, "timestamp": 12}])

    assert len(script.run(lambda client: client.logs(PROCESS, since=20, latest=True))) == 1


def test_logs_are_searched(script: Script) -> None:
    script.answer("searchlogsmsg", [{"processid": "x", "message": "needle", "timestamp": 1}])

    (entry,) = script.run(lambda client: client.search_logs("needle", days=3, count=5))

    assert entry.message == "needle"
    assert script.asked("searchlogsmsg") == [{"colonyname": "dev", "text": "needle", "days": 3, "count": 5}]


# --- executors --------------------------------------------------------------------------------------------------------

ONE = Executor(
    name="one",
    id=ME,
    type="container-executor",
    colony="dev",
    location="kista",
    capabilities={"hardware": [{"cpu": "4000m", "mem": "16Gi"}], "software": [{"name": "docker"}]},
)
ANSWER = {
    "executorname": "one",
    "executorid": ME,
    "executortype": "container-executor",
    "colonyname": "dev",
    "state": 0,
}
OLD = refusal(400, "Failed to add executor, invalid JSON")


def test_an_executor_is_added_with_what_it_has_as_lists(script: Script) -> None:
    script.answer("addexecutormsg", ANSWER)

    added = script.run(lambda client: client.add_executor(ONE))

    assert (added.name, added.state) == ("one", ExecutorState.PENDING)
    assert script.asked("addexecutormsg") == [
        {
            "executor": {
                "executorid": ME,
                "executortype": "container-executor",
                "executorname": "one",
                "colonyname": "dev",
                "locationname": "kista",
                "requirefuncreg": False,
                "capabilities": {"hardware": [{"cpu": "4000m", "mem": "16Gi"}], "software": [{"name": "docker"}]},
                "allocations": {"projects": {}},
            }
        }
    ]


def test_an_old_server_that_refuses_lists_is_sent_objects(script: Script) -> None:
    script.answer("addexecutormsg", OLD, ANSWER)

    script.run(lambda client: client.add_executor(ONE))

    first, second = (fields["executor"] for fields in script.asked("addexecutormsg"))
    assert first["capabilities"]["hardware"] == [{"cpu": "4000m", "mem": "16Gi"}]
    assert second["capabilities"] == {"hardware": {"cpu": "4000m", "mem": "16Gi"}, "software": {"name": "docker"}}
    assert second["location"]["desc"] == "kista"


def test_any_other_refusal_to_add_an_executor_is_final(script: Script) -> None:
    """Adding an executor again takes its processes away from it."""
    script.answer("addexecutormsg", refusal(400, "Executor with name <one> in Colony <dev> already exists"))

    with pytest.raises(BadCallError, match="already exists"):
        script.run(lambda client: client.add_executor(ONE))

    assert len(script.asked("addexecutormsg")) == 1


def test_a_server_that_refuses_both_shapes_is_not_asked_a_third_time(script: Script) -> None:
    script.answer("addexecutormsg", OLD)

    with pytest.raises(BadCallError, match="invalid JSON"):
        script.run(lambda client: client.add_executor(ONE))

    assert len(script.asked("addexecutormsg")) == 2


def test_an_executor_without_capabilities_has_no_second_shape(script: Script) -> None:
    script.answer("addexecutormsg", OLD)

    with pytest.raises(BadCallError, match="invalid JSON"):
        script.run(lambda client: client.add_executor({"executorname": "one"}))

    assert len(script.asked("addexecutormsg")) == 1


@pytest.mark.parametrize("name", ["edge:1", ":", "", None])
def test_a_colon_in_an_executors_name_breaks_listings_for_all_and_is_refused(script: Script, name: str | None) -> None:
    with pytest.raises(UnsendableError, match="no name for an executor"):
        script.run(lambda client: client.add_executor({"executorname": name}))

    assert script.calls == []


def test_the_time_when_an_executor_was_heard_last_is_not_sent(script: Script) -> None:
    """The server stores it as sent, and removes an executor that was not heard for long."""
    script.answer("addexecutormsg", ANSWER)
    record = {"executorname": "one", "executorid": ME, "lastheardfromtime": "2020-01-01T00:00:00Z"}

    script.run(lambda client: client.add_executor(record))

    assert script.asked("addexecutormsg") == [
        {"executor": {"executorname": "one", "executorid": ME, "colonyname": "dev"}}
    ]


def test_an_executor_that_the_colony_does_not_have_is_not_found_and_no_fault(script: Script) -> None:
    script.answer("getexecutormsg", refusal(500, "Failed to get executor, executor is nil"))

    with pytest.raises(NotFoundError):
        script.run(lambda client: client.executor("one"))


def test_functions_are_added_with_their_executors_type(script: Script) -> None:
    row = {**NAMED, "executortype": "t", "funcname": "execute", "functionid": "f1", "counter": 3, "avgexectime": 1.5}
    script.answer("addfunctionmsg", row)
    script.answer("getfunctionsmsg", [row])

    async def both(client: Client) -> list[Any]:
        return [await client.add_function("one", "t", "execute", "runs"), *await client.functions("one")]

    added, listed = script.run(both)

    assert added == listed
    assert (added.id, added.name, added.executor_type, added.calls, added.mean_run) == ("f1", "execute", "t", 3, 1.5)
    fields = {**NAMED, "executortype": "t", "funcname": "execute", "description": "runs"}
    assert script.asked("addfunctionmsg") == [{"fun": fields}]
    assert script.asked("getfunctionsmsg") == [NAMED]


# --- colonies ---------------------------------------------------------------------------------------------------------


def test_statistics_are_read(script: Script) -> None:
    script.answer("getcolonystatsmsg", {"colonies": 1, "executors": 2, "activeexecutors": 1, "runningprocesses": 5})

    statistics = script.run(lambda client: client.statistics())

    assert (statistics.executors, statistics.active_executors, statistics.running_processes) == (2, 1, 5)
    assert script.asked("getcolonystatsmsg") == [HERE]


def test_whether_a_colony_is_paused_comes_under_another_name(script: Script) -> None:
    answer = {"colonyname": "dev", "ispaused": True, "msgtype": "pausestatusreplymsg"}
    script.answer("getpausestatusmsg", raw(envelope("pausestatusreplymsg", answer)))

    assert script.run(lambda client: client.paused()) is True
    assert script.asked("getpausestatusmsg") == [HERE]


def test_colonies_and_users_are_added_and_listed(script: Script) -> None:
    user = {"colonyname": "dev", "userid": ME, "name": "alice", "email": "a@b.c", "phone": ""}
    script.answer("addcolonymsg", {"colonyid": "owner", "name": "new"})
    script.answer("getcoloniesmsg", [{"colonyid": "owner", "name": "new"}])
    script.answer("addusermsg", user)
    script.answer("getusersmsg", [user])
    alice = User("alice", ME, "a@b.c")

    async def ask(client: Client) -> list[Any]:
        colonies = [await client.add_colony("new", "owner"), *await client.colonies()]
        return [*colonies, await client.add_user(alice), *await client.users()]

    assert script.run(ask) == [Colony("new", "owner")] * 2 + [alice] * 2
    assert script.asked("addcolonymsg") == [{"colony": {"colonyid": "owner", "name": "new"}}]
    assert script.asked("addusermsg") == [{"user": user}]
    assert script.asked("getusersmsg") == [HERE]


# --- files ------------------------------------------------------------------------------------------------------------

RECORD = FileRecord(
    label="/data",
    name="a.txt",
    size=3,
    checksum="ab" * 32,
    object="cd" * 32,
    bucket="b",
    server="localhost:9000",
)


def _stored(**over: Any) -> dict[str, Any]:
    place = {"server": "localhost:9000", "port": -1, "tls": False, "object": "cd" * 32, "bucket": "b", "region": ""}
    record = {"label": "/data", "name": "a.txt", "size": 3, "checksum": "ab" * 32, "checksumalg": "SHA256"}
    stored = {"fileid": "f1", "sequencenr": 7, "added": "2026-01-02T03:04:05.5Z", "colonyname": "dev"}
    return {**record, **stored, "ref": {"protocol": "s3", "s3object": place}, **over}


def test_a_file_record_is_added_and_comes_back_with_its_revision(script: Script) -> None:
    script.answer("addfilemsg", _stored())

    added = script.run(lambda client: client.add_file(RECORD))

    assert (added.id, added.revision, added.label, added.name, added.object) == ("f1", 7, "/data", "a.txt", "cd" * 32)
    sent = script.asked("addfilemsg")[0]["file"]
    assert {key: sent[key] for key in ("colonyname", "label", "name", "size", "checksum", "checksumalg")} == {
        "colonyname": "dev",
        "label": "/data",
        "name": "a.txt",
        "size": 3,
        "checksum": "ab" * 32,
        "checksumalg": "SHA256",
    }


@pytest.mark.parametrize(
    ("place", "host", "port"),
    [
        ({"server": "localhost:9000"}, "localhost", 9000),
        ({"server": "[::1]:9000", "tls": True}, "[::1]", 9000),
        ({"server": "s3.example.org", "tls": True}, "s3.example.org", 443),
        ({"server": "s3.example.org"}, "s3.example.org", 80),
        ({"server": ""}, "", -1),
    ],
)
def test_a_record_names_the_store_as_pycolonies_reads_it(
    script: Script, place: dict[str, Any], host: str, port: int
) -> None:
    script.answer("addfilemsg", _stored())

    script.run(lambda client: client.add_file(attrs.evolve(RECORD, **place)))

    sent = script.asked("addfilemsg")[0]["file"]["ref"]["s3object"]
    assert (sent["server"], sent["port"], sent["tls"]) == (host, port, place.get("tls", False))


@pytest.mark.parametrize(("server", "port"), [("localhost:9000", -1), ("localhost", 9000)], ids=["go", "pycolonies"])
def test_the_store_of_a_record_is_read_however_a_client_wrote_it(script: Script, server: str, port: int) -> None:
    stored = _stored()
    stored["ref"]["s3object"].update(server=server, port=port)
    script.answer("getfilemsg", [stored])

    assert script.run(lambda client: client.file("/data", "a.txt")).server == "localhost:9000"


def test_a_record_that_the_server_accepts_with_null_was_not_stored(script: Script) -> None:
    script.answer("addfilemsg", None)

    with pytest.raises(ProtocolError, match=r"did not store the record of /data/a\.txt"):
        script.run(lambda client: client.add_file(RECORD))


def test_files_are_found_by_label_and_name_and_by_id(script: Script) -> None:
    script.answer("getfilemsg", [_stored()], [_stored(), _stored(fileid="f0", sequencenr=3)], [_stored()])

    async def ask(client: Client) -> list[Any]:
        one = await client.file("/data", "a.txt")
        return [one, await client.revisions("/data", "a.txt"), await client.file_by_id("f1")]

    one, revisions, same = script.run(ask)

    assert one == same == revisions[0]
    assert [record.revision for record in revisions] == [7, 3]
    assert script.asked("getfilemsg") == [
        {**HERE, "label": "/data", "name": "a.txt", "latest": True},
        {**HERE, "label": "/data", "name": "a.txt", "latest": False},
        {**HERE, "fileid": "f1"},
    ]


@pytest.mark.parametrize("answer", [None, [], refusal(404, "Failed to get file")])
def test_a_file_that_is_not_there_is_not_found(script: Script, answer: Any) -> None:
    script.answer("getfilemsg", answer)

    with pytest.raises(NotFoundError):
        script.run(lambda client: client.file("/data", "a.txt"))


def test_labels_and_their_files_are_listed(script: Script) -> None:
    script.answer("getfilelabelsmsg", [{"name": "/data", "files": 2}])
    script.answer("getfilesmsg", [{"name": "a", "checksum": "c", "size": 4, "s3filename": "o"}])

    async def ask(client: Client) -> list[Any]:
        return [*await client.labels("/d", exact=True), *await client.files("/data")]

    assert script.run(ask) == [Label("/data", 2), FileEntry("a", "c", 4, "o")]
    assert script.asked("getfilelabelsmsg") == [{**HERE, "name": "/d", "exact": True}]
    assert script.asked("getfilesmsg") == [{**HERE, "label": "/data"}]


def test_all_revisions_of_a_file_are_removed_by_label_and_name(script: Script) -> None:
    script.answer("removefilemsg", {})

    script.run(lambda client: client.remove_file(label="/data", name="a.txt"))

    assert script.asked("removefilemsg") == [{**HERE, "fileid": "", "label": "/data", "name": "a.txt"}]


@pytest.mark.parametrize("place", [{}, {"label": "/data"}, {"name": "a"}, {"file_id": "f", "label": "/l", "name": "n"}])
def test_removing_a_file_that_is_not_named_clearly_is_a_mistake_of_the_caller(
    script: Script, place: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match="give either"):
        script.run(lambda client: client.remove_file(**place))


def test_snapshots_are_made_and_found_by_id_and_by_name(script: Script) -> None:
    row = {"snapshotid": "s1", "colonyname": "dev", "label": "/data", "name": "snap", "fileids": ["f1", "f2"]}
    script.answer("createsnapshotmsg", {**row, "fileids": None})
    script.answer("getsnapshotmsg", row)
    script.answer("getsnapshotsmsg", [row])

    async def ask(client: Client) -> list[Snapshot]:
        found = [await client.snapshot("s1"), await client.snapshot(name="snap"), *await client.snapshots()]
        return [await client.create_snapshot("/data", "snap"), *found]

    empty, *full = script.run(ask)

    assert empty == Snapshot("s1", "snap", "/data", ())
    assert full == [Snapshot("s1", "snap", "/data", ("f1", "f2"))] * 3
    assert script.asked("getsnapshotmsg") == [{**HERE, "snapshotid": "s1"}, {**HERE, "name": "snap"}]
    assert script.asked("createsnapshotmsg") == [{**HERE, "label": "/data", "name": "snap"}]
