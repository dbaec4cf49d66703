"""From the bytes of a request to the text of its answer."""

import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from container_executor.server.assigning import ASSIGN, try_assign
from container_executor.server.call import Call, Effect, Handler, Watch
from container_executor.server.envelope import Envelope, unwrap, wrap
from container_executor.server.fields import Misfit, NulError
from container_executor.server.polling import Pollers
from container_executor.server.refusal import Refused
from container_executor.server.store import Store
from container_executor.server.table import TABLE

T = TypeVar("T")

NO_TYPE = (
    "invalid rpcMsg.PayloadType: empty (this usually means the client is misconfigured - check that COLONIES_PRVKEY "
    "and other environment variables are set correctly)"
)

NOT_HERE = ("blueprint", "channel", "cluster", "cron", "generator", "location", "node")
"""What only the Colonies server has, as the types of its messages name it."""


@attrs.define(eq=False)
class Answering:
    """Answers calls with the help of the database, the pollers and the watch."""

    store: Store
    pollers: Pollers
    watch: Watch

    async def answer(self, body: bytes) -> str:
        """Return the reply envelope of a call.

        Raises:
            Refused: The call is not done.
        """
        envelope = unwrap(body)
        handler, caller = authenticate(envelope)
        message = decode(envelope, handler)
        if handler is ASSIGN:
            text = await self.pollers.poll(lambda: self.do(handler, caller, message, try_assign), message["timeout"])
        else:
            text = await self.do(handler, caller, message, handler.run)
        return wrap(handler.reply or handler.msgtype, text)

    async def do(self, handler: Handler, caller: str, message: dict[str, Any], run: Callable[[Call], T]) -> T:
        """Run a handler in the database's thread, after its role has let the caller in."""

        def work(db: sqlite3.Connection, now: int) -> tuple[T, list[Effect]]:
            call = Call(db, now, caller, message, self.watch)
            handler.role(call)
            return run(call), call.effects

        return await self.store.run(work)


def authenticate(envelope: Envelope) -> tuple[Handler, str]:
    """Return what an envelope asks for and the id of who signed it.

    Raises:
        Refused: The signature is wrong or the message type unknown.
    """
    handler = TABLE.get(envelope.msgtype)
    if handler is not None and not handler.signed:
        return handler, ""
    caller = envelope.signer()
    if handler is None:
        raise Refused(403, unknown(envelope.msgtype))
    return handler, caller


def unknown(msgtype: str) -> str:
    """Return what is said to a message type that is not in the table."""
    if not msgtype:
        return NO_TYPE
    missing = next((thing for thing in NOT_HERE if thing in msgtype), None)
    why = f" (there are no {missing}s on this server, the embedded one of container-executor)" if missing else ""
    return f"invalid rpcMsg.PayloadType: {msgtype}{why}"


def decode(envelope: Envelope, handler: Handler) -> dict[str, Any]:
    """Return the decoded message of an envelope.

    Raises:
        Refused: It is not what its type promises.
    """
    if handler.bare:
        return {}
    try:
        raw = envelope.message()
        message: dict[str, Any] = handler.fields(raw)
    except Misfit:
        raise Refused(400, f"Failed to {handler.what}, invalid JSON") from None
    except NulError as error:
        raise Refused(400, f"Failed to {handler.what}, {error}") from None
    if _msgtype(raw) != envelope.msgtype:
        raise Refused(400, f"Failed to {handler.what}, msg.MsgType does not match payloadType")
    return message


def _msgtype(raw: Any) -> object:
    if not isinstance(raw, dict):
        return None
    return (
        raw["msgtype"] if "msgtype" in raw else {str(key).lower(): value for key, value in raw.items()}.get("msgtype")
    )
