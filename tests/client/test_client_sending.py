"""What a client sends: signed, cleaned, complete, and never a value that would arrive changed."""

import math
from collections.abc import Mapping
from typing import Any

import pytest

from container_executor.client import Client, FileRecord, Identity, UnsendableError
from tests.client.conftest import KEY, ME, PROCESS, Script, process_json


def _submitted(script: Script, spec: Mapping[str, Any]) -> dict[str, Any]:
    script.answer("submitfuncspecmsg", process_json())
    script.run(lambda client: client.submit(spec))
    (fields,) = script.asked("submitfuncspecmsg")
    sent: dict[str, Any] = fields["spec"]
    return sent


def test_calls_are_signed_by_the_client_and_by_whoever_it_acts_as(script: Script) -> None:
    owner = Identity.new()
    script.answer("getprocessmsg", process_json())
    script.answer("approveexecutormsg", {})

    async def both(client: Client) -> None:
        await client.as_(owner).approve_executor("one")
        await client.process(PROCESS)

    script.run(both)

    assert [(call.message, call.signer) for call in script.calls] == [
        ("approveexecutormsg", owner.id),
        ("getprocessmsg", ME),
    ]


def test_the_version_is_asked_without_a_signature(script: Script) -> None:
    script.answer("versionmsg", {"buildversion": "v1", "buildtime": "", "msgtype": "versionmsg"})

    assert script.run(lambda client: client.version()) == {"buildversion": "v1", "buildtime": ""}
    assert script.calls[0].signer == ""


# --- NUL characters and surrogates ------------------------------------------------------------------------------------


def test_nul_characters_are_stripped_from_everything_that_is_sent(script: Script) -> None:
    for message in ("addlogmsg", "closefailedmsg", "closesuccessfulmsg", "setoutputmsg", "addexecutorlogmsg"):
        script.answer(message, {})
    script.answer("addattributemsg", {"targetid": PROCESS})
    script.answer("addfilemsg", {"name": "a\0b"})

    async def all_of_them(client: Client) -> None:
        await client.add_log(PROCESS, "a\0b")
        await client.close_failed(PROCESS, ["a\0b"])
        await client.close_successful(PROCESS, ["a\0b", {"k\0": ["\0"]}])
        await client.set_output(PROCESS, ["a\0b"])
        await client.add_executor_log("one", "a\0b")
        await client.add_attribute(PROCESS, "k\0", "a\0b")
        await client.add_file(FileRecord("/l", "a\0b", 0, "", ""))

    script.run(all_of_them)

    assert "\0" not in str([call.fields for call in script.calls])
    assert script.asked("addlogmsg")[0]["message"] == "ab"
    assert script.asked("closesuccessfulmsg")[0]["out"] == ["ab", {"k": [""]}]
    assert (script.asked("addattributemsg")[0]["attribute"]["key"]) == "k"


def test_nul_characters_are_stripped_from_all_of_a_spec(script: Script) -> None:
    sent = _submitted(script, {"funcname": "a\0", "env": {"K\0": "v\0"}, "label": "\0", "kwargs": {"x": [("\0y",)]}})

    assert (sent["funcname"], sent["env"], sent["label"], sent["kwargs"]) == ("a", {"K": "v"}, "", {"x": [["y"]]})


def test_bytes_that_were_no_utf8_and_lone_surrogates_arrive_as_replacement_characters(script: Script) -> None:
    script.answer("addlogmsg", {})

    script.run(
        lambda client: client.add_log(PROCESS, b"a\xff\n".decode(errors="surrogateescape") + "\ud83d\ude00 \ud800 é")
    )

    assert script.asked("addlogmsg")[0]["message"] == "a\ufffd\n😀 \ufffd é"


# --- numbers ----------------------------------------------------------------------------------------------------------

UNSENDABLE: dict[str, tuple[Any, str]] = {
    "an integer that the server would round": (2**53 + 1, r"spec\.kwargs\.x\[1\]: an integer beyond 9007199254740992"),
    "a negative one": (-(2**53) - 1, r"spec\.kwargs\.x\[1\]: an integer beyond"),
    "not a number": (math.nan, r"spec\.kwargs\.x\[1\]: JSON has no nan"),
    "infinity": (-math.inf, r"spec\.kwargs\.x\[1\]: JSON has no -inf"),
    "bytes": (b"x", r"spec\.kwargs\.x\[1\]: JSON has no bytes"),
    "a set": ({1}, r"spec\.kwargs\.x\[1\]: JSON has no set"),
    "a key that is a number": ({1: 2}, r"spec\.kwargs\.x\[1\]: the key 1 is no text"),
}


@pytest.mark.parametrize("name", UNSENDABLE)
def test_a_value_that_would_arrive_changed_is_refused_with_its_place_and_nothing_is_sent(
    script: Script, name: str
) -> None:
    value, message = UNSENDABLE[name]

    with pytest.raises(UnsendableError, match=message):
        script.run(lambda client: client.submit({"kwargs": {"x": [0, value]}}))

    assert script.calls == []


def test_a_value_without_end_is_refused(script: Script) -> None:
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(UnsendableError, match="nested deeper than 100 levels"):
        script.run(lambda client: client.set_output(PROCESS, endless))


@pytest.mark.parametrize("call", ["set_output", "close_successful"])
def test_an_output_is_checked_as_a_spec_is(script: Script, call: str) -> None:
    with pytest.raises(UnsendableError, match=r"out\[0\]: an integer beyond"):
        script.run(lambda client: getattr(client, call)(PROCESS, [2**60]))


def test_numbers_that_arrive_as_they_are_may_be_sent(script: Script) -> None:
    numbers = [2**53, -(2**53), 1.5, 1e300, True, None, 0]

    assert _submitted(script, {"args": numbers})["args"] == numbers


def test_the_time_of_a_log_entry_is_sent_to_the_nanosecond(script: Script) -> None:
    script.answer("getlogsmsg", [])

    script.run(lambda client: client.logs(PROCESS, since=1_700_000_000_123_456_789))

    assert script.asked("getlogsmsg")[0]["since"] == 1_700_000_000_123_456_789


# --- specs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [{}, {"maxexectime": 0}, {"maxexectime": None}, {"MaxExecTime": 0}])
def test_a_spec_without_maxexectime_is_not_killed_at_once(script: Script, spec: dict[str, Any]) -> None:
    sent = _submitted(script, {"funcname": "execute", **spec})

    assert {value for key, value in sent.items() if key.lower() == "maxexectime"} == {-1}


@pytest.mark.parametrize("key", ["maxexectime", "MaxExecTime"])
def test_a_limit_of_time_is_sent_as_it_is(script: Script, key: str) -> None:
    sent = _submitted(script, {key: 7})

    assert {name: value for name, value in sent.items() if name.lower() == "maxexectime"} == {key: 7}


def test_the_colony_is_filled_in_where_a_spec_names_none(script: Script) -> None:
    assert _submitted(script, {"funcname": "f"})["conditions"] == {"colonyname": "dev"}


def test_a_colony_that_a_spec_names_stays(script: Script) -> None:
    sent = _submitted(script, {"conditions": {"ColonyName": "other", "nodes": 1}})

    assert sent["conditions"] == {"ColonyName": "other", "nodes": 1}


def test_the_callers_spec_is_not_changed(script: Script) -> None:
    spec = {"conditions": {"nodes": 1}, "kwargs": {"cmd": "a\0"}}

    _submitted(script, spec)

    assert spec == {"conditions": {"nodes": 1}, "kwargs": {"cmd": "a\0"}}


def test_every_spec_of_a_workflow_is_completed(script: Script) -> None:
    script.answer("submitworkflowspecmsg", {"processgraphid": "ab" * 32, "state": 0, "processids": ["x", "y"]})

    graph = script.run(lambda client: client.submit_workflow([{"nodename": "a"}, {"nodename": "b", "maxexectime": 5}]))

    specs = script.asked("submitworkflowspecmsg")[0]["spec"]["functionspecs"]
    assert [spec["maxexectime"] for spec in specs] == [-1, 5]
    assert [spec["conditions"]["colonyname"] for spec in specs] == ["dev", "dev"]
    assert graph.process_ids == ("x", "y")


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_the_private_key_is_neither_sent_nor_shown(script: Script) -> None:
    script.answer("getprocessmsg", process_json())
    shown: list[str] = []

    async def ask(client: Client) -> None:
        shown.append(repr(client))
        await client.process(PROCESS)

    script.run(ask)

    assert KEY not in str(shown) + str(script.calls)


def test_keys_of_an_object_store_are_neither_sent_nor_read(script: Script) -> None:
    """Some clients write them into the record, where every member of the colony can read them."""
    place = {
        "server": "s3:9000",
        "port": -1,
        "tls": True,
        "accesskey": "AK",
        "secretkey": "SK",
        "object": "o",
        "bucket": "b",
    }
    script.answer("getfilemsg", [{"label": "/l", "name": "x", "size": 3, "ref": {"protocol": "s3", "s3object": place}}])
    script.answer("addfilemsg", {"name": "x"})

    async def copy(client: Client) -> FileRecord:
        record = await client.file("/l", "x")
        await client.add_file(record)
        return record

    record = script.run(copy)

    sent = script.asked("addfilemsg")[0]["file"]["ref"]["s3object"]
    assert (sent["accesskey"], sent["secretkey"], sent["object"]) == ("", "", "o")
    assert (sent["server"], sent["port"], sent["tls"]) == ("s3", 9000, True)
    assert "SK" not in repr(record)
