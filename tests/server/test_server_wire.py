"""Every answer that was recorded from the Colonies server v1.9.12 is the embedded server's answer too."""

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import attrs
import pytest

from container_executor.client.signing import Identity

WIRE = Path(__file__).parent.parent / "wire"
CALLS: list[dict[str, Any]] = json.loads((WIRE / "calls.json").read_text())
ANSWERS: dict[str, Any] = json.loads((WIRE / "answers.json").read_text())

NAMES = ("owner", "user", "e1", "e2", "stranger")
TIMES = {
    "submissiontime", "starttime", "endtime", "waitdeadline", "execdeadline", "commissiontime", "lastheardfromtime",
    "added",
}  # fmt: skip
COUNTERS = {"prioritytime", "timestamp"}
ANY_TEXT = "<any text>"
NOT_COMPARED = {"colony-reset"}


@attrs.define(eq=False)
class Plain:
    """Replaces what differs from run to run by words that do not."""

    ids: dict[str, str]
    revisions: dict[int, str] = attrs.field(factory=dict)

    def value(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: self.value(item, name) for name, item in sorted(value.items())}
        if isinstance(value, list):
            items = [self.value(item, key) for item in value]
            labels = bool(items) and isinstance(items[0], dict) and "files" in items[0]
            return sorted(items, key=str) if labels or key == "fileids" else items
        if key in COUNTERS:
            return "<ns>"
        if key == "sequencenr":
            return self.revisions.setdefault(value, f"<rev {len(self.revisions) + 1}>")
        return self.text(value, key) if isinstance(value, str) else value

    def text(self, value: str, key: str) -> str:
        if key in TIMES:
            return "<unset>" if value.startswith("0001") else "<time>"
        if re.fullmatch(r"(..)\1{31}", value):  # made up by the conversation
            return value
        return re.sub(r"\b[0-9a-f]{64}\b", lambda found: self.ids.setdefault(found[0], f"#{len(self.ids)}"), value)


@attrs.define(eq=False)
class Conversation:
    port: int
    keys: dict[str, Identity]
    said: dict[str, Any] = attrs.field(factory=dict)

    def fields(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self.fields(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.fields(item) for item in value]
        if isinstance(value, str) and value[:1] == "@" and value[1:] in self.keys:
            return self.keys[value[1:]].id
        if isinstance(value, str) and value[:1] == "$":
            return self.earlier(*value[1:].split("."))
        return value

    def earlier(self, step: str, *path: str) -> Any:
        found = self.said[step]
        for name in path:
            found = found[int(name)] if isinstance(found, list) else found[name]
        return found

    def say(self, call: dict[str, Any]) -> dict[str, Any]:
        inner = {"msgtype": call["message"], **self.fields(call["fields"])}
        payload = base64.b64encode(json.dumps(inner).encode())
        signature = "" if call["signer"] == "none" else self.keys[call["signer"]].sign(payload)
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        envelope = {"payloadtype": call["message"], "payload": payload.decode(), "signature": signature}
        connection.request("POST", "/api", json.dumps(envelope))
        answer = connection.getresponse()
        outer = json.loads(answer.read())
        connection.close()
        self.said[call["step"]] = json.loads(base64.b64decode(outer["payload"]))
        return {"status": answer.status, "payloadtype": outer["payloadtype"], "reply": self.said[call["step"]]}


def conversation(port: int, server: Identity) -> dict[str, Any]:
    """Say everything and return what was answered, by step."""
    keys = {name: Identity(hashlib.sha256(b"wire " + name.encode()).hexdigest()) for name in NAMES}
    keys["server"] = server
    talk = Conversation(port, keys)
    plain = Plain({found.id: f"@{name}" for name, found in keys.items()})
    answers = {}
    for call in CALLS:
        if "wait" in call:
            time.sleep(call["wait"])  # the deadlines of the conversation are seconds of a real clock
        else:
            answer = talk.say(call)
            answers[call["step"]] = answer | {"reply": plain.value(answer["reply"])}
    return answers


@pytest.fixture(scope="module")
def answers(shared_start: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with shared_start(tmp_path_factory.mktemp("wire")) as found:
        yield conversation(found.town.port, found.town.keys["server"])


def test_the_conversation_has_188_recorded_answers() -> None:
    assert len(ANSWERS.keys() - NOT_COMPARED) == 188
    assert [call["step"] for call in CALLS if "step" in call] == list(ANSWERS)


@pytest.mark.parametrize("step", [step for step in ANSWERS if step not in NOT_COMPARED])
def test_the_answer_is_the_recorded_one(answers: dict[str, Any], step: str) -> None:
    expected = ANSWERS[step]
    if isinstance(expected["reply"], dict) and expected["reply"].get("message") == ANY_TEXT:
        assert answers[step]["reply"].pop("message")
        expected = expected | {"reply": {"status": expected["status"]}}

    assert answers[step] == expected
