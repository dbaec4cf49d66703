"""Whatever is sent, the server answers with a clear no and goes on."""

import base64
import json
import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from container_executor.client.signing import Identity
from container_executor.server.table import TABLE

if TYPE_CHECKING:
    from tests.server.conftest import Town

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(sorted(TABLE))
FIELDS = st.sampled_from(
    ["colonyname", "processid", "spec", "executor", "count", "state", "out", "file", "fun", "user", "colony", "message",
     "attribute", "since", "timeout", "label", "name", "seconds", "availablecpu", "availablemem", "processgraphid"]
)  # fmt: skip
ANY_SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def alive_afterwards(shared_town: "Town") -> Iterator[None]:
    yield
    assert shared_town.call("user", "versionmsg")["msgtype"] == "versionmsg"


def signed(town: "Town", msgtype: str, payload: bytes, who: str = "e1") -> bytes:
    text = base64.b64encode(payload)
    envelope = {"payloadtype": msgtype, "payload": text.decode(), "signature": town.keys[who].sign(text)}
    return json.dumps(envelope).encode()


def no(answer: tuple[int, bytes]) -> tuple[int, str]:
    """Return what a refusal says; anything that is no refusal in the protocol's form fails."""
    status, body = answer
    outer = json.loads(body)
    assert outer["error"]
    assert outer["payloadtype"] == "error"
    found = json.loads(base64.b64decode(outer["payload"]))
    assert found["status"] == status
    assert 400 <= status < 600
    assert "Traceback" not in found["message"]
    assert "internal error" not in found["message"]
    return status, found["message"]


@ANY_SETTINGS
@given(body=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_a_body_that_is_no_envelope_is_refused(shared_town: "Town", body: bytes) -> None:
    status, _ = no(shared_town.post(body))

    assert status in (400, 403)


@ANY_SETTINGS
@given(
    envelope=st.fixed_dictionaries(
        {}, optional={name: JSON | st.text() for name in ("payloadtype", "payload", "signature")}
    )
)
def test_an_envelope_with_any_values_is_refused(shared_town: "Town", envelope: dict[str, Any]) -> None:
    status, _ = no(shared_town.post(json.dumps(envelope).encode()))

    assert status in (400, 403)


@ANY_SETTINGS
@given(msgtype=NAMES, payload=st.binary(max_size=100))
def test_a_signed_payload_of_any_bytes_is_refused(shared_town: "Town", msgtype: str, payload: bytes) -> None:
    if msgtype == "getserverinfomsg":
        return

    assert no(shared_town.post(signed(shared_town, msgtype, payload)))[0] == 400


@ANY_SETTINGS
@given(
    msgtype=NAMES,
    fields=st.dictionaries(FIELDS, JSON, max_size=6),
    who=st.sampled_from(["server", "owner", "user", "e1"]),
)
def test_a_message_with_any_values_is_answered(town: "Town", msgtype: str, fields: dict[str, Any], who: str) -> None:
    """It has a town of its own: the values may be right, and a colony that its owner removes is gone."""
    if msgtype in ("assignprocessmsg", "changeserveridmsg", "changecolonyidmsg"):
        fields.pop("timeout", None)
    payload = json.dumps({"msgtype": msgtype, "colonyname": "town", **fields}, allow_nan=True).encode()

    answer = town.post(signed(town, msgtype, payload, who))

    if json.loads(answer[1])["error"]:
        no(answer)


def with_junk(value: Any, junk: Any) -> Iterator[Any]:
    """Yield copies of *value*, each with junk in another place."""
    yield junk
    if isinstance(value, dict):
        for name, item in value.items():
            for changed in with_junk(item, junk):
                yield value | {name: changed}
    if isinstance(value, list):
        for at, item in enumerate(value):
            for changed in with_junk(item, junk):
                yield [*value[:at], changed, *value[at + 1 :]]


def recorded_fields() -> dict[str, Any]:
    """Return the richest recorded call of each message type."""
    calls = json.loads((Path(__file__).parent.parent / "wire" / "calls.json").read_text())
    found: dict[str, Any] = {}
    for call in sorted((call for call in calls if "step" in call), key=lambda call: len(str(call["fields"]))):
        found[call["message"]] = call["fields"]
    return {msgtype: fields for msgtype, fields in found.items() if msgtype in TABLE}


@pytest.mark.parametrize("msgtype", sorted(recorded_fields()))
def test_the_wrong_type_in_every_field_is_answered(shared_town: "Town", msgtype: str) -> None:
    for junk in ([], {}, "text", -5, 1.5, True, None, -(2**70), [[["x"]]], {"a": {"b": None}}, "a\0b", "\ud800"):
        for fields in with_junk(recorded_fields()[msgtype], junk):
            message = {"msgtype": msgtype, "colonyname": "town", **fields} if isinstance(fields, dict) else fields
            body = json.dumps(message).replace('"wire"', '"town"').encode()
            for who in ("user", "owner"):
                answer = shared_town.post(signed(shared_town, msgtype, body, who))
                if json.loads(answer[1])["error"]:
                    no(answer)


@pytest.mark.usefixtures("no_garbage")
def test_deep_nesting_is_refused(shared_town: "Town") -> None:
    for deep in (b"[" * 100_000, b'{"a":' * 100_000, b'{"msgtype":"addlogmsg","x":' + b"[" * 500 + b"]" * 500 + b"}"):
        assert no(shared_town.post(deep))[0] == 400
        assert no(shared_town.post(signed(shared_town, "addlogmsg", deep)))[0] == 400


def test_a_bad_signature_is_refused(shared_town: "Town") -> None:
    good = json.loads(signed(shared_town, "getcoloniesmsg", b'{"msgtype":"getcoloniesmsg"}', "server"))
    for signature in ("", "00", "zz" * 65, "00" * 65, "ff" * 65, good["signature"][:-2] + "1b", "é" * 130):
        status, _ = no(shared_town.post(json.dumps(good | {"signature": signature}).encode()))
        assert status == 403


def test_the_payload_must_be_of_the_type_that_the_envelope_names(shared_town: "Town") -> None:
    status, message = no(shared_town.post(signed(shared_town, "addlogmsg", b'{"msgtype":"closefailedmsg"}')))

    assert (status, message) == (400, "Failed to add log, msg.MsgType does not match payloadType")


def test_names_of_fields_count_in_any_case(shared_town: "Town") -> None:
    payload = b'{"MsgType":"getprocesseSMsg","ColonyName":"town","COUNT":1}'.replace(b"SM", b"sm")

    assert shared_town.post(signed(shared_town, "getprocessesmsg", payload))[0] == 200


def test_a_nul_is_refused_in_texts_and_kept_in_arguments(shared_town: "Town") -> None:
    town = shared_town
    for spec in ({"label": "a\0b"}, {"env": {"K": "a\0b"}}, {"env": {"a\0b": "v"}}, {"funcname": "\0"}):
        conditions = {"colonyname": "town", "executortype": "other"}
        status, _ = town.refused("user", "submitfuncspecmsg", spec={**spec, "conditions": conditions})
        assert status == 400
    processid = town.submit({"executortype": "nul"}, args=["a\0b"])

    assert town.process(processid)["spec"]["args"] == ["a\0b"]


def test_invalid_utf8_and_lone_surrogates_become_replacement_characters(shared_town: "Town") -> None:
    conditions = b'"conditions":{"colonyname":"town","executortype":"utf"}'
    payload = b'{"msgtype":"submitfuncspecmsg","spec":{"label":"a\xffb","args":["\\ud800x"],' + conditions + b"}}"

    status, body = shared_town.post(signed(shared_town, "submitfuncspecmsg", payload, "user"))

    assert status == 200
    spec = json.loads(base64.b64decode(json.loads(body)["payload"]))["spec"]
    assert (spec["label"], spec["args"]) == ("a\ufffdb", ["\ufffdx"])


def test_numbers_out_of_range_are_refused(shared_town: "Town") -> None:
    for number in (2**63, -(2**63) - 1, 10**5000):
        payload = b'{"msgtype":"getlogsmsg","processid":"","count":%d}' % number if number < 10**20 else b"1" * 9000
        assert no(shared_town.post(signed(shared_town, "getlogsmsg", payload)))[0] == 400


def test_other_paths_and_methods_are_not_found(shared_town: "Town") -> None:
    assert shared_town.post(b"", "/other")[0] == 404
    assert shared_town.post(b"", "/api", "GET")[0] == 404
    assert shared_town.post(b"", "/health", "GET") == (200, b"")
    assert shared_town.post(b"", "/pubsub", "GET")[0] == 400


def test_32_mebibytes_are_taken_and_more_than_the_limit_is_refused(start: Callable[..., Any], tmp_path: Path) -> None:
    with start(tmp_path, largest_body=48 * 2**20, durability="normal") as found:
        town = found.town.settle()
        processid = town.submit()
        town.assign()
        text = "x" * (24 * 2**20)  # 32 MiB in base64

        town.call("e1", "addlogmsg", processid=processid, message=text)
        status, message = no(town.post(b"x" * (48 * 2**20 + 1)))

        assert town.call("user", "getlogsmsg", processid=processid, count=1)[0]["message"] == text
        assert (status, str(48 * 2**20) in message) == (413, True)


def test_a_body_without_a_length_is_counted_as_it_comes(
    start: Callable[..., Any], tmp_path: Path, connect: Callable[[int], socket.socket]
) -> None:
    with start(tmp_path, largest_body=10_000) as found:
        link = connect(found.town.port)
        link.sendall(b"POST /api HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        link.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        link.sendall((b"1000\r\n" + b"x" * 4096 + b"\r\n") * 2 + b"0\r\n\r\n")

        assert link.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_slow_client_is_answered_and_disturbs_nobody(
    start: Callable[..., Any], tmp_path: Path, connect: Callable[[int], socket.socket]
) -> None:
    with start(tmp_path, body_timeout=timedelta(seconds=1)) as found:
        links = [connect(found.town.port) for _ in range(50)]
        for link in links:
            link.sendall(b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")

        found.town.settle()  # others are served meanwhile
        answers = [link.recv(65536) for link in links]

        assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers)


def test_half_a_request_and_garbage_leave_the_server_alive(
    shared_town: "Town", connect: Callable[[int], socket.socket]
) -> None:
    for junk in (b"", b"GET", b"\0\xff" * 1000, b"POST /api HTTP/1.1\r\nContent-Length: -5\r\n\r\n", b"A" * 200_000):
        link = connect(shared_town.port)
        try:
            link.sendall(junk)
            link.shutdown(socket.SHUT_WR)
            link.recv(1000)
        except OSError:
            pass  # the server may close first

    assert shared_town.post(b"", "/health", "GET")[0] == 200


def test_120_parallel_reads_are_all_answered(shared_town: "Town") -> None:
    processid = shared_town.submit({"executortype": "parallel"})
    links = [socket.create_connection(("127.0.0.1", shared_town.port), timeout=30) for _ in range(120)]
    body = signed(
        shared_town, "getprocessmsg", json.dumps({"msgtype": "getprocessmsg", "processid": processid}).encode()
    )

    for link in links:
        link.sendall(
            b"POST /api HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
    answers = [link.recv(20) for link in links]
    for link in links:
        link.close()

    assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)


def test_the_date_of_an_answer_is_the_time(shared_town: "Town") -> None:
    from email.utils import parsedate_to_datetime
    from http.client import HTTPConnection

    connection = HTTPConnection("127.0.0.1", shared_town.port)
    connection.request("GET", "/health")
    date = connection.getresponse().headers["Date"]
    connection.close()

    assert abs(parsedate_to_datetime(date).timestamp() - time.time()) < 3


def test_a_key_that_nobody_knows_is_let_in_nowhere(shared_town: "Town") -> None:
    shared_town.keys["new"] = Identity.new()
    for msgtype in sorted(TABLE):
        if TABLE[msgtype].signed:
            payload = {
                "msgtype": msgtype,
                "colonyname": "town",
                "spec": {"colonyname": "town", "conditions": {"colonyname": "town"}},
            }
            nested = {"executor": payload, "user": payload, "file": payload, "fun": payload, "colony": {"name": "x"}}
            body = json.dumps(payload | nested).encode()
            status, _ = no(shared_town.post(signed(shared_town, msgtype, body, "new")))
            assert status >= 400


@pytest.mark.parametrize(
    ("msgtype", "missing"),
    [("getcronsmsg", "crons"), ("packgeneratormsg", "generators"), ("getblueprintdefinitionsmsg", "blueprints"),
     ("channelappendmsg", "channels"), ("getlocationsmsg", "locations"), ("getnodesmsg", "nodes"), ("getclustermsg", "clusters")],
)  # fmt: skip
def test_what_only_the_colonies_server_has_is_named(shared_town: "Town", msgtype: str, missing: str) -> None:
    why = f"(there are no {missing} on this server, the embedded one of container-executor)"

    assert shared_town.refused("user", msgtype) == (403, f"invalid rpcMsg.PayloadType: {msgtype} {why}")
