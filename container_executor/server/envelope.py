"""The envelope around every message: base64 of JSON, signed on the way in, plain on the way out."""

import base64
import binascii
from typing import Any

import attrs

from container_executor.client.signing import signer_of
from container_executor.server.fields import Misfit, NulError, dump, parse, struct, text
from container_executor.server.refusal import Refused

ERROR = "error"

_ENVELOPE = struct(payloadtype=text, payload=text, signature=text)


@attrs.frozen
class Envelope:
    """A request as it came, its signature not yet checked.

    Attributes:
        msgtype: What it says it is.
        payload: Base64 text.
        signature: Hex text.
    """

    msgtype: str
    payload: str
    signature: str

    def signer(self) -> str:
        """Return the id of the key that signed.

        Raises:
            Refused: No key can have made this signature.
        """
        try:
            return signer_of(self.payload.encode(), self.signature)
        except ValueError as error:
            raise Refused(403, f"Failed verify signature: {error}") from None

    def message(self) -> Any:
        """Return the JSON inside.

        Raises:
            Misfit: The payload is no padded base64, or holds no JSON.
        """
        try:
            return parse(base64.b64decode(self.payload, validate=True))
        except binascii.Error as error:
            raise Misfit(f"no base64: {error}") from None


def unwrap(body: bytes) -> Envelope:
    """Read the envelope of a request.

    Raises:
        Refused: The body is no envelope.
    """
    try:
        found = _ENVELOPE(parse(body))
    except (Misfit, NulError) as error:
        raise Refused(400, f"invalid envelope: {error}") from None
    return Envelope(found["payloadtype"], found["payload"], found["signature"])


def wrap(msgtype: str, payload: str, *, error: bool = False) -> str:
    """Return the reply envelope around a payload of JSON text."""
    inner = base64.b64encode(payload.encode()).decode()
    flag = "true" if error else "false"
    return f'{{"payloadtype":"{msgtype}","payload":"{inner}","error":{flag}}}'


def wrap_refusal(refusal: Refused) -> str:
    """Return the reply envelope that says no."""
    return wrap(ERROR, dump({"status": refusal.status, "message": refusal.message}), error=True)
