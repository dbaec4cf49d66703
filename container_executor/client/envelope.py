"""The envelope around every call and every answer: base64 of JSON, signed on the way out, checked on the way in."""

import base64
import binascii
import json
from typing import Any, NoReturn

import attrs

from container_executor.client import scrub
from container_executor.client.errors import EmptyAnswerError, NoAnswerError, ProtocolError, RefusedError, refusal
from container_executor.client.signing import Identity

_PROXY_STATUSES = frozenset({408, 425, 429, 502, 503, 504})  # what a proxy answers for a server that is away or busy
_SHOWN = 120


@attrs.frozen
class Answer:
    """An answer as it came.

    Attributes:
        body: An envelope, if all is well.
        status: The HTTP status; None over a websocket, where the envelope alone tells.
    """

    body: bytes
    status: int | None = None


def seal(message: str, fields: dict[str, Any], identity: Identity | None) -> bytes:
    """Return the request body of a call, signed by *identity* (None leaves it unsigned).

    Raises:
        UnsendableError: A field cannot be sent unchanged.
    """
    inner = scrub.message({"msgtype": message, **fields}, message)
    payload = base64.b64encode(json.dumps(inner, allow_nan=False).encode())
    signature = identity.sign(payload) if identity else ""
    return json.dumps({"payloadtype": message, "payload": payload.decode(), "signature": signature}).encode()


def unseal(answer: Answer, message: str, expected: str = "") -> Any:
    """Return the JSON inside the answer to *message*.

    Args:
        answer: What came.
        message: What was asked, for error messages.
        expected: The payload type of a good answer, where it is not *message* itself.

    Raises:
        RefusedError: The server said no.
        NoAnswerError: A proxy says that the server does not answer.
        ProtocolError: The answer cannot be trusted.
    """
    envelope = _envelope(answer, message)
    value = _inner(envelope.get("payload"), message)
    if envelope.get("error") is not False or envelope.get("payloadtype") == "error":
        raise _refusal(answer.status, value, message)
    if answer.status not in (200, None):
        raise ProtocolError(f"{message}: HTTP status {answer.status} with an answer that reports no error")
    if envelope.get("payloadtype") != (expected or message):
        raise ProtocolError(f"{message}: the answer is of type {_show(envelope.get('payloadtype'))}")
    return value


def _envelope(answer: Answer, message: str) -> dict[str, Any]:
    if not answer.body.lstrip().startswith(b"{"):
        _no_envelope(answer, message)
    envelope = _first_document(answer.body, message)
    if not isinstance(envelope, dict) or not isinstance(envelope.get("payload"), str):
        _no_envelope(answer, message)
    return envelope


def _no_envelope(answer: Answer, message: str) -> NoReturn:
    """Tell apart the answers that no handler of a Colonies server has written."""
    if answer.status == 500:  # a handler of the Go server that panics answers nothing with this status
        raise refusal(500, f"a fault inside the server, which said {_show(answer.body)}", message)
    if answer.status in _PROXY_STATUSES:
        raise NoAnswerError(f"{message}: no answer from the server, only HTTP status {answer.status} from before it")
    if not answer.body:
        raise EmptyAnswerError(f"{message}: the answer is empty (HTTP status {answer.status})")
    raise ProtocolError(
        f"{message}: no answer of a Colonies server (HTTP status {answer.status}): {_show(answer.body)}; "
        "check the server's address, port, path and whether it speaks http or https",
    )


def _inner(payload: Any, message: str) -> Any:
    try:
        raw = binascii.a2b_base64(payload, strict_mode=True)
    except (binascii.Error, ValueError):
        raise ProtocolError(f"{message}: the payload of the answer is no base64") from None
    return _first_document(raw, message) if raw else {}


def _first_document(raw: bytes, message: str) -> Any:
    """Parse JSON; what follows the first document is ignored.

    Some error paths of the Go server report twice and write two envelopes one after the other.
    """
    try:
        value, _ = _DECODER.raw_decode(raw.decode().lstrip())
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"{message}: the answer is no JSON: {type(error).__name__}: {_show(raw)}") from None
    _check_depth(value, message)
    return _clean(value) if b"\\ud" in raw or b"\\uD" in raw else value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


_NESTS = (dict, list)


def _check_depth(value: Any, message: str) -> None:
    level = [value] if type(value) in _NESTS else []
    for _ in range(scrub.DEEPEST):
        level = [child for item in level for child in _children(item) if type(child) in _NESTS]
        if not level:
            return
    raise ProtocolError(f"{message}: the answer is nested deeper than {scrub.DEEPEST} levels")


def _children(value: dict[str, Any] | list[Any]) -> Any:
    return value.values() if isinstance(value, dict) else value


def _clean(value: Any) -> Any:
    """Replace escaped lone surrogates, which no file and no terminal could take."""
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return _joined(value) if isinstance(value, str) else value


def _joined(value: str) -> str:
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _refusal(http_status: int | None, value: Any, message: str) -> RefusedError | ProtocolError:
    status = value.get("status") if isinstance(value, dict) else None
    text = value.get("message") if isinstance(value, dict) else None
    if type(status) is not int or http_status not in (status, None) or not isinstance(text, str):
        return ProtocolError(f"{message}: a malformed error answer (HTTP status {http_status}): {_show(value)}")
    return refusal(status, text, message)


def _show(value: Any) -> str:
    shown = value[:_SHOWN].decode(errors="replace") if isinstance(value, bytes) else str(value)[:_SHOWN]
    return repr(shown)
