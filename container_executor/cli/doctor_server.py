"""Whether the Colonies server answers, has the colony, knows this executor, and agrees on the time."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import attrs

from container_executor.cli import interrupt
from container_executor.cli.config_problems import name_of
from container_executor.cli.doctor_keys import executor_key, kept_key
from container_executor.cli.doctor_report import Finding, Level, fault, ok, warning
from container_executor.client import (
    Client,
    DeniedError,
    Executor,
    ExecutorState,
    Identity,
    NoAnswerError,
    RefusedError,
)
from container_executor.errors import ServerError
from container_executor.execute.keys import key_of
from container_executor.settings import Settings

SERVER, CLOCK, COLONY, EXECUTOR = "server", "clock", "colony", "executor"
PATIENCE = timedelta(seconds=10)
"""How long a server may take to answer a person who waits."""
CLOSE_TIME = timedelta(seconds=5)
FAR_TIME = timedelta(minutes=15)
"""S3 stores refuse what was signed by a clock further off (AWS: RequestTimeTooSkewed); certificates may seem invalid too."""


def check_server(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong between us and the server, in the order in which it matters."""
    yield from interrupt.run(_ask, settings)


async def _ask(settings: Settings) -> list[Finding]:
    server, key = settings.server, executor_key(settings)
    timeout = min(server.timeout, PATIENCE)
    async with Client(server.url, server.colony, key or Identity.new(), timeout=timeout) as client:
        try:
            version = await client.version()
        except ServerError as error:
            return [fault(SERVER, str(error), _server_fix(error, settings))]
        said = ok(SERVER, f"{server.url} answers {version.get('buildversion') or ''}".strip())
        return [said, _clock(client.server_now()), *await _membership(settings, client, key)]


def _server_fix(error: ServerError, settings: Settings) -> str:
    if "not trusted" in str(error):
        return "give this machine the authority's certificate (SSL_CERT_FILE), or the server a valid one"
    if isinstance(error, NoAnswerError):
        return "see that the server runs and no firewall is between, or set server.host and server.port"
    switch = "false" if settings.server.tls else "true"
    return f"set server.tls = {switch}, or server.host and server.port to those of a Colonies server"


def _clock(there: datetime) -> Finding:
    off = abs(there - datetime.now(UTC))
    words = f"this machine's clock differs from the server's by {off.total_seconds():.0f} s"
    fix = "set the clocks by NTP: timedatectl set-ntp true"
    if off > FAR_TIME:
        return fault(CLOCK, words, fix)
    return warning(CLOCK, words, fix) if off > CLOSE_TIME else ok(CLOCK, "as the server's, within a few seconds")


# --- the colony and we in it ------------------------------------------------------------------------------------------


async def _membership(settings: Settings, client: Client, key: Identity | None) -> list[Finding]:
    owner = key_of(settings, "server.colony_key")
    ownership = await _ownership(settings, client.as_(owner)) if owner else None
    if ownership is not None and ownership.level is Level.FAULT:
        return [ownership]
    try:
        known = await client.executors() if key else []
    except DeniedError as error:
        known = []
        if "does not exist" in str(error):
            return [fault(COLONY, str(error), "set server.colony, or server.host to the server that has it")]
    except ServerError as error:
        return [fault(COLONY, str(error), "see the server's own log")]
    us = _Us(settings, name_of(settings), key.id if key else "", registers=owner is not None)
    return [*filter(None, [ownership]), us.finding(known)]


async def _ownership(settings: Settings, owner: Client) -> Finding:
    """Return whether the colony's key is the owner's: only an owner gets past the right to approve to the missing name."""
    place = settings.origin("server.colony_key")
    try:
        await owner.approve_executor("-")
    except DeniedError as error:
        why = f"the key from {place}, id {owner.identity.id}, does not own colony {owner.colony}: {error.text}"
        return fault(
            COLONY, why, "set server.colony_key_file to the owner's key, or server.colony and server.host to its colony"
        )
    except RefusedError:
        pass
    except ServerError as error:
        return fault(COLONY, str(error), "see the server's own log")
    return ok(COLONY, f"{owner.colony}, and we have its owner's key")


@attrs.frozen
class _Us:
    """This executor as it wants to be known; *registers*: it has the colony's key, to add and approve itself."""

    settings: Settings
    name: str
    id: str
    registers: bool

    def finding(self, known: list[Executor]) -> Finding:
        """Return how the colony knows us."""
        same_key = next((other for other in known if other.id == self.id), None)
        same_name = next((other for other in known if other.name == self.name), None)
        if same_key is not None and same_key.name != self.name:
            why = f"the key of {self.name} is that of executor {same_key.name}, and the server mixes up executors that share one"
            return fault(
                EXECUTOR,
                why,
                f"set executor.name = {same_key.name}, or make a key for {self.name}: container-executor keys new FILE",
            )
        if same_name is not None and same_key is None and same_name.state is not ExecutorState.UNREGISTERED:
            why = f"the colony knows {self.name} with another key, id {same_name.id}; ours is {self.id}"
            return fault(
                EXECUTOR, why, f"put its key back into {kept_key(self.settings)}, or set another executor.name"
            )
        return self._as_known(same_key)

    def _as_known(self, us: Executor | None) -> Finding:
        state = us.state if us is not None else None
        words = f"{self.name} is {state.name.lower() if state is not None else 'not known to the colony'}"
        if state is ExecutorState.APPROVED:
            return ok(EXECUTOR, words)
        if self.registers:
            return ok(EXECUTOR, f"{words}; the daemon adds and approves it at its start, with the colony's key")
        if not self.id:
            file = kept_key(self.settings)
            return fault(
                EXECUTOR,
                f"{words}, and has no key that could be",
                f"container-executor keys new {file}, or set server.colony_key_file; then look again",
            )
        return fault(EXECUTOR, f"{words}; its id is {self.id}", self._ask_owner(state))

    def _ask_owner(self, state: ExecutorState | None) -> str:
        added = state in (ExecutorState.PENDING, ExecutorState.REJECTED)
        type_ = self.settings.executor.type
        what = (
            f"approve executor {self.name}"
            if added
            else f"add executor {self.name} of type {type_} with that id, and approve it"
        )
        return f"have the colony's owner {what}, or set server.colony_key_file"
