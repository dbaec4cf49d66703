"""Taking function specs: one spec becomes one waiting process."""

import secrets
from typing import Any

import attrs

from container_executor.server.call import Call, Handler
from container_executor.server.fields import dump, needed, struct
from container_executor.server.lifecycle import announce
from container_executor.server.process import Attribute, Process, insert, insert_attributes, render
from container_executor.server.roles import initiator_name, member
from container_executor.server.spec import FUNCTION_SPEC, check_priority, settle
from container_executor.server.stamps import DAY, after

ENV = 3
"""The type of attributes that repeat a spec's environment."""


def new_id() -> str:
    """Return a random id as the protocol has them."""
    return secrets.token_hex(32)


def spec_colony(message: dict[str, Any]) -> str:
    """Return the colony that a submitted spec names."""
    colony: str = message["spec"]["conditions"]["colonyname"]
    return colony


@attrs.frozen
class Place:
    """Where a process stands in a workflow; the default is in none.

    Attributes:
        processid: Chosen beforehand where others refer to it.
        parents: Ids of the processes whose good ends it waits for.
        children: Ids of those that wait for its end.
        graphid: The workflow.
    """

    processid: str = attrs.field(factory=new_id)
    parents: list[str] = attrs.field(factory=list)
    children: list[str] = attrs.field(factory=list)
    graphid: str = ""


def prepare(call: Call, spec: dict[str, Any], initiator: str, place: Place) -> Process:
    """Turn a decoded spec into a process that is not stored yet.

    Raises:
        Refused: The spec's priority or a quantity is impossible.
    """
    check_priority(spec)
    needs = settle(spec)
    conditions = spec["conditions"]
    return Process(
        processid=place.processid,
        colony=conditions["colonyname"],
        executortype=conditions["executortype"],
        executornames=dump(conditions["executornames"]),
        location=conditions.get("locationname", ""),
        label=spec["label"],
        funcname=spec["funcname"],
        initiatorid=call.caller,
        initiatorname=initiator,
        prioritytime=call.now - spec["priority"] * DAY,
        submitted=call.now,
        waitdeadline=after(call.now, spec["maxwaittime"]) if spec["maxwaittime"] > 0 else 0,
        maxwaittime=spec["maxwaittime"],
        maxexectime=spec["maxexectime"],
        maxretries=spec["maxretries"],
        waitforparents=int(bool(place.parents)),
        parents=dump(place.parents),
        children=dump(place.children),
        graphid=place.graphid,
        cpu=needs.cpu,
        memory=needs.memory,
        nodes=conditions["nodes"],
        processes=conditions["processes"],
        processespernode=conditions["processespernode"],
        spec=dump(spec),
    )


def enqueue(call: Call, process: Process, env: dict[str, str]) -> None:
    """Store a new process with its environment as attributes, and tell pollers of it."""
    insert(call.db, process)
    environment = (
        Attribute(new_id(), process.processid, process.colony, process.graphid, 0, ENV, key, value)
        for key, value in env.items()
    )
    insert_attributes(call.db, environment)
    announce(call, process)


def submit(call: Call) -> str:
    """Queue a function spec."""
    spec = call.message["spec"]
    process = prepare(call, spec, initiator_name(call.db, spec_colony(call.message), call.caller), Place())
    enqueue(call, process, spec["env"])
    return render(call.db, process)


HANDLERS = (
    Handler("submitfuncspecmsg", "submit process", struct(spec=needed(FUNCTION_SPEC)), member(spec_colony), submit),
)
"""The messages of this module."""
