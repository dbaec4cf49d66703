"""Whatever a server sends is a value or a :class:`ServerError`, and whatever a client sends arrives as it was."""

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from container_executor.client import Identity, Process, UnsendableError
from container_executor.client import parse as parsing
from container_executor.client.envelope import Answer, seal, unseal
from container_executor.client.reading import reading
from container_executor.errors import ServerError
from tests.client.conftest import ME, envelope, process_json

IDENTITY = Identity.new()
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([ME, "0001-01-01T00:00:00Z"])
)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
FIELDS = sorted(process_json())
calm = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PARSERS = [
    parsing.process,
    parsing.graph,
    parsing.log_entry,
    parsing.executor,
    parsing.function,
    parsing.statistics,
    parsing.file_entry,
    parsing.file_record,
    parsing.snapshot,
    parsing.attribute,
]


@calm
@given(
    body=st.binary() | st.text().map(str.encode) | JSON.map(json.dumps).map(str.encode), status=st.integers(100, 599)
)
def test_any_body_is_read_or_refused(body: bytes, status: int) -> None:
    with suppress(ServerError):
        unseal(Answer(body, status), "getprocessmsg")


@calm
@given(
    outer=st.fixed_dictionaries({}, optional={"payloadtype": JSON, "payload": JSON, "error": JSON}),
    status=st.integers(100, 599),
)
def test_any_envelope_is_read_or_refused(outer: dict[str, Any], status: int) -> None:
    with suppress(ServerError):
        unseal(Answer(json.dumps(outer).encode(), status), "getprocessmsg")


@calm
@given(value=JSON, kind=st.sampled_from(["getprocessmsg", "error"]))
def test_any_payload_is_read_or_refused(value: Any, kind: str) -> None:
    with suppress(ServerError):
        found = unseal(Answer(envelope(kind, json.dumps(value), error=kind == "error").encode(), 200), "getprocessmsg")
        for parse in PARSERS:
            parse(reading(found, "answer"))


@calm
@given(field=st.sampled_from(FIELDS), value=JSON)
def test_a_process_with_any_one_field_is_a_process_or_refused(field: str, value: Any) -> None:
    try:
        found: Process | ServerError = parsing.process(reading(process_json(**{field: value}), "answer"))
    except ServerError as error:
        found = error

    assert isinstance(found, Process) or field in str(found)


@calm
@given(value=JSON)
def test_what_is_sent_is_what_was_meant_or_is_refused(value: Any) -> None:
    try:
        body = seal("submitfuncspecmsg", {"spec": value}, IDENTITY)
    except UnsendableError:
        return

    arrived = json.loads(base64.b64decode(json.loads(body)["payload"]))["spec"]

    assert arrived == json.loads(json.dumps(value).replace("\\u0000", ""))
    assert "\0" not in str(arrived)


@pytest.mark.parametrize("value", [[0.1, 1e-320, -0.0], [2**63 - 1], ["\U0010ffff", "\u2028</script>"]])
def test_the_ends_of_what_can_be_sent_arrive(value: Any) -> None:
    body = seal("submitfuncspecmsg", {"spec": value}, IDENTITY)

    assert json.loads(base64.b64decode(json.loads(body)["payload"]))["spec"] == value
