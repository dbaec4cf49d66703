"""What a client makes of answers: the values in them, the errors, and everything that cannot be trusted."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from container_executor.client import (
    BadCallError,
    Client,
    DeniedError,
    ExecutorState,
    NoAnswerError,
    NotFoundError,
    PausedError,
    Process,
    ProcessState,
    ProtocolError,
    RefusedError,
    ServerFaultError,
)
from tests.client.conftest import ME, PROCESS, Script, envelope, process_json, raw, refusal, running_json


async def get(client: Client) -> Process:
    return await client.process(PROCESS)


# --- good ones --------------------------------------------------------------------------------------------------------


def test_a_process_is_read_with_all_its_fields(script: Script) -> None:
    attribute = {"attributeid": "a", "targetid": PROCESS, "attributetype": 1, "key": "k", "value": "v"}
    script.answer(
        "getprocessmsg",
        running_json(
            retries=2,
            endtime="2026-01-02T04:04:06+01:00",
            execdeadline="2026-01-02T03:05:06Z",
            attributes=[attribute],
            out=["x", {"k": [1]}],
            errors=["no"],
            parents=["cd" * 32],
            children=["ef" * 32],
            processgraphid="12" * 32,
            waitforparents=True,
            **{"in": [1, None]},
        ),
    )

    process = script.run(get)

    assert (process.id, process.state, process.executor_id, process.attempt) == (PROCESS, ProcessState.RUNNING, ME, 2)
    assert (process.colony, process.initiator, process.initiator_id) == ("dev", "alice", "cd" * 32)
    assert process.submitted == datetime(2026, 1, 2, 3, 4, 5, 123456, UTC)
    assert process.started == datetime(2026, 1, 2, 3, 4, 6, 500000, UTC)
    assert process.ended == datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)
    assert process.exec_deadline == datetime(2026, 1, 2, 3, 5, 6, tzinfo=UTC)
    assert process.ended.tzinfo is UTC
    assert [(a.key, a.value, a.kind) for a in process.attributes] == [("k", "v", 1)]
    assert (process.input, process.output, process.errors) == ([1, None], ["x", {"k": [1]}], ("no",))
    assert (process.parents, process.children) == (("cd" * 32,), ("ef" * 32,))
    assert (process.graph_id, process.wait_for_parents) == ("12" * 32, True)
    assert process.spec["funcname"] == "execute"


@pytest.mark.parametrize(
    "unset",
    ["0001-01-01T00:00:00Z", "0001-01-01T01:12:12+01:12", "0000-12-31T19:03:58-04:56", "", None],
)
def test_an_unset_time_is_none_in_every_shape_that_a_server_writes(script: Script, unset: str | None) -> None:
    script.answer("getprocessmsg", process_json(starttime=unset, execdeadline=unset))

    process = script.run(get)

    assert (process.started, process.exec_deadline) == (None, None)


def test_lists_that_are_empty_come_as_null_and_are_read_as_empty(script: Script) -> None:
    empty = [
        "getprocessesmsg",
        "getprocesshistmsg",
        "getlogsmsg",
        "searchlogsmsg",
        "getexecutorsmsg",
        "getfunctionsmsg",
    ]
    empty += [
        "getprocessgraphsmsg",
        "getfilelabelsmsg",
        "getfilesmsg",
        "getsnapshotsmsg",
        "getusersmsg",
        "getcoloniesmsg",
    ]
    for message in empty:
        script.answer(message, None)

    async def ask(client: Client) -> list[Any]:
        return [
            await client.processes(ProcessState.WAITING),
            await client.running_on(ME),
            await client.logs(PROCESS),
            await client.search_logs("x"),
            await client.executors(),
            await client.functions("one"),
            await client.graphs(ProcessState.RUNNING),
            await client.labels(),
            await client.files("/x"),
            await client.snapshots(),
            await client.users(),
            await client.colonies(),
        ]

    assert script.run(ask) == [[]] * 12


def test_fields_that_are_null_or_missing_are_empty(script: Script) -> None:
    nulls = {
        "spec": None,
        "in": None,
        "out": None,
        "errors": None,
        "attributes": None,
        "parents": None,
        "retries": None,
    }
    script.answer("getprocessmsg", process_json(**nulls), {"processid": PROCESS, "state": 4})

    async def twice(client: Client) -> list[Process]:
        return [await get(client), await get(client)]

    first, second = script.run(twice)

    assert (first.spec, first.input, first.output, first.errors, first.attributes, first.attempt) == (
        {},
        [],
        [],
        (),
        (),
        0,
    )
    assert (second.state, second.spec, second.colony) == (ProcessState.CANCELLED, {}, "")


def test_capabilities_come_as_lists_and_from_old_servers_as_objects(script: Script) -> None:
    common = {"executorname": "one", "executorid": ME, "executortype": "t", "colonyname": "dev", "state": 1}
    hardware, software = {"cpu": "1000m"}, {"name": "s"}
    new = {
        **common,
        "capabilities": {"hardware": [hardware], "software": [software]},
        "allocations": {"projects": None},
    }
    old = {**common, "capabilities": {"hardware": hardware, "software": software}}
    script.answer("getexecutormsg", new, old, {**common, "capabilities": None})

    async def ask(client: Client) -> list[Any]:
        return [await client.executor("one") for _ in range(3)]

    executors = script.run(ask)

    assert [e.capabilities for e in executors] == [{"hardware": [hardware], "software": [software]}] * 2 + [
        {"hardware": [], "software": []}
    ]
    assert (executors[0].state, executors[0].last_heard) == (ExecutorState.APPROVED, None)


def test_markup_and_emoji_arrive_as_they_were_written(script: Script) -> None:
    row = {
        "processid": PROCESS,
        "executorname": "one",
        "message": "<b> & é 😀\n",
        "timestamp": 1_700_000_000_123_456_789,
    }
    script.answer("getlogsmsg", json.dumps([row]).replace("<", "\\u003c").replace("&", "\\u0026"))

    (entry,) = script.run(lambda client: client.logs(PROCESS))

    assert entry.message == "<b> & é 😀\n"
    assert entry.time == datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (400, "pq: duplicate key value", BadCallError),
        (403, "Access denied, not a member of Colony with name <dev>", DeniedError),
        (404, "Failed to get process, process not found", NotFoundError),
        (408, "No processes available: colony assignments are paused", PausedError),
        (503, "No processes available: colony assignments are paused", PausedError),
        (500, "Duplicate nodename: a", ServerFaultError),
        (500, "Failed to cancel process, process is nil", NotFoundError),
        (418, "teapot", RefusedError),
    ],
)
def test_a_refusal_has_its_own_class_and_the_servers_words(script: Script, status: int, text: str, kind: type) -> None:
    script.answer("getprocessmsg", refusal(status, text))

    with pytest.raises(RefusedError) as caught:
        script.run(get)

    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.text) == (status, text)
    assert str(caught.value) == f"the server refused getprocessmsg ({status}): {text}"


def test_a_refusal_written_twice_in_one_body_is_read_once(script: Script) -> None:
    twice = envelope("error", {"status": 400, "message": "pq: invalid byte sequence"}, error=True) * 2
    script.answer("addlogmsg", raw(twice, 400))

    with pytest.raises(BadCallError, match="invalid byte sequence"):
        script.run(lambda client: client.add_log(PROCESS, "x"))


def test_a_server_that_fell_over_answers_nothing_with_status_500(script: Script) -> None:
    script.answer("getprocessmsg", raw(b"", 500))

    with pytest.raises(ServerFaultError, match="a fault inside the server"):
        script.run(get)


def test_an_empty_history_with_status_200_means_no_member(script: Script) -> None:
    script.answer("getprocesshistmsg", raw(b"", 200))

    with pytest.raises(DeniedError, match="not a member"):
        script.run(lambda client: client.running_on(ME))


def test_a_long_refusal_is_cut(script: Script) -> None:
    script.answer("getprocessmsg", refusal(400, "x" * 1_000_000))

    with pytest.raises(BadCallError) as caught:
        script.run(get)

    assert len(str(caught.value)) < 2100


@pytest.mark.parametrize("status", [502, 503, 504, 429])
def test_a_proxy_that_reaches_no_server_is_no_answer_and_no_refusal(script: Script, status: int) -> None:
    script.answer("getprocessmsg", raw(b"<html>Bad Gateway</html>", status))

    with pytest.raises(NoAnswerError, match=f"HTTP status {status}"):
        script.run(get)


def test_a_page_that_is_not_found_is_no_missing_process_and_no_lack_of_work(script: Script) -> None:
    script.answer("getprocessmsg", raw(b"404 page not found", 404))
    script.answer("assignprocessmsg", raw(b"404 page not found", 404))

    for ask in (get, lambda client: client.assign(timeout=1)):
        with pytest.raises(ProtocolError, match="check the server's address"):
            script.run(ask)


# --- answers that cannot be trusted -----------------------------------------------------------------------------------

BODIES: dict[str, tuple[str | bytes, int]] = {
    "an empty body": (b"", 200),
    "a page": (b"<html>hello</html>", 200),
    "a redirect": (b"", 302),
    "text that is no JSON": (b"{", 200),
    "bytes that are no UTF-8": (b'{"payload":"\xff"}', 200),
    "a list": (b"[]", 200),
    "no payload": (b'{"payloadtype":"getprocessmsg","error":false}', 200),
    "a payload that is no text": (b'{"payloadtype":"getprocessmsg","payload":{},"error":false}', 200),
    "a payload that is no base64": (b'{"payloadtype":"getprocessmsg","payload":"{}","error":false}', 200),
    "a payload that is no ASCII": ('{"payloadtype":"getprocessmsg","payload":"é","error":false}', 200),
    "a payload that is no JSON": (envelope("getprocessmsg", "{"), 200),
    "the answer to another call": (envelope("getprocessesmsg", process_json()), 200),
    "no word whether it is an error": (envelope("getprocessmsg", process_json()).replace("false", "null"), 200),
    "a good answer with a bad status": (envelope("getprocessmsg", process_json()), 400),
    "an error with a good status": (envelope("error", {"status": 403, "message": "x"}, error=True), 200),
    "an error without words": (envelope("error", {"status": 403}, error=True), 403),
    "an error that is a list": (envelope("error", [], error=True), 403),
    "an error whose status is true": (envelope("error", {"status": True, "message": "x"}, error=True), 403),
}


@pytest.mark.parametrize("name", BODIES)
def test_an_answer_that_is_no_proper_envelope_is_a_protocol_error(script: Script, name: str) -> None:
    body, status = BODIES[name]
    script.answer("getprocessmsg", raw(body, status))

    with pytest.raises(ProtocolError, match="getprocessmsg"):
        script.run(get)


VALUES: dict[str, Any] = {
    "no object": [],
    "null": None,
    "another process": process_json(processid="cd" * 32),
    "an id that is a number": process_json(processid=7),
    "a state that nobody knows": process_json(state=9),
    "a state that is a text": process_json(state="1"),
    "a state that is true": process_json(state=True),
    "no state": {"processid": PROCESS},
    "a spec that is a list": process_json(spec=[]),
    "conditions that are a text": process_json(spec={"conditions": "x"}),
    "retries that are a fraction": process_json(retries=1.5),
    "retries beyond 64 bits": process_json(retries=2**70),
    "a time that is none": process_json(starttime="yesterday"),
    "a time without a zone": process_json(starttime="2026-01-02T03:04:05"),
    "a time out of range": process_json(starttime="9999-12-31T23:59:59-05:00"),
    "a time that is a number": process_json(starttime=0),
    "an output that is a text": process_json(out="x"),
    "errors that are numbers": process_json(errors=[1]),
    "attributes that are texts": process_json(attributes=["x"]),
    "a flag that is a text": process_json(waitforparents="no"),
    "NaN": json.dumps(process_json(out=[float("nan")])),
    "infinity": json.dumps(process_json(out=[float("inf")])),
    "an integer of 5000 digits": json.dumps(process_json()).replace('"retries": 0', '"retries": ' + "9" * 5000),
    "nesting that parsers bear and programs do not": json.dumps(process_json(out=json.loads("[" * 300 + "]" * 300))),
    "nesting that no parser bears": "[" * 100_000,
    "nesting of objects": '{"a":' * 100_000,
}


@pytest.mark.usefixtures("no_garbage")
@pytest.mark.parametrize("name", VALUES)
def test_a_process_that_is_none_is_a_protocol_error(script: Script, name: str) -> None:
    script.answer("getprocessmsg", VALUES[name])

    with pytest.raises(ProtocolError):
        script.run(get)


@pytest.mark.parametrize("process_id", ["AB" * 32, "ab" * 31, "ab" * 32 + "\n", "../" + "ab" * 32])
def test_an_id_that_is_not_64_hex_digits_is_never_passed_on(script: Script, process_id: str) -> None:
    script.answer("getprocessesmsg", [process_json(processid=process_id)])

    with pytest.raises(ProtocolError, match="expected 64 hex digits"):
        script.run(lambda client: client.processes(ProcessState.WAITING))


def test_the_message_of_a_protocol_error_names_the_place(script: Script) -> None:
    script.answer("getprocessesmsg", [process_json(), process_json(spec={"conditions": 3})])

    with pytest.raises(ProtocolError) as caught:
        script.run(lambda client: client.processes(ProcessState.WAITING))

    assert str(caught.value) == "getprocessesmsg[1].spec.conditions: expected an object, the server sent '3'"


def test_lone_surrogates_in_an_answer_become_replacement_characters(script: Script) -> None:
    script.answer("getprocessmsg", process_json(errors=["a\ud800b", "\ud83d\ude00"]))

    assert script.run(get).errors == ("a\ufffdb", "😀")


WRONG: dict[str, tuple[str, Any, Callable[[Client], Awaitable[Any]]]] = {
    "a graph": ("getprocessgraphmsg", {"processgraphid": "cd" * 32, "state": 1}, lambda c: c.graph(PROCESS)),
    "an executor": ("getexecutormsg", {"executorname": "two", "state": 1}, lambda c: c.executor("one")),
    "a process of another executor": (
        "getprocesshistmsg",
        [running_json(assignedexecutorid="x")],
        lambda c: c.running_on(ME),
    ),
    "a log of another process": ("getlogsmsg", [{"processid": "x", "timestamp": 9}], lambda c: c.logs(PROCESS)),
    "a log entry that is known already": (
        "getlogsmsg",
        [{"processid": PROCESS, "timestamp": 9}],
        lambda c: c.logs(PROCESS, since=9),
    ),
    "a snapshot": ("getsnapshotmsg", {"snapshotid": "x", "name": "a"}, lambda c: c.snapshot("y")),
    "a file": ("getfilemsg", [{"label": "/a", "name": "x"}], lambda c: c.file("/a", "y")),
    "a file by id": ("getfilemsg", [{"fileid": "x"}], lambda c: c.file_by_id("y")),
    "an attribute": ("addattributemsg", {"targetid": "x"}, lambda c: c.add_attribute(PROCESS, "k", "v")),
    "a colony's pausing": (
        "getpausestatusmsg",
        raw(envelope("pausestatusreplymsg", {"colonyname": "x"})),
        lambda c: c.paused(),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_answer_about_something_else_than_was_asked_is_a_protocol_error(script: Script, name: str) -> None:
    message, answer, ask = WRONG[name]
    script.answer(message, answer)

    with pytest.raises(ProtocolError, match="expected"):
        script.run(ask)
