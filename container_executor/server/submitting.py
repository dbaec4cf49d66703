"""Taking function specs: one spec becomes one waiting process."""

import secrets
from typing import Any

from container_executor.server.call import Call, Handler
from container_executor.server.fields import dump, needed, struct
from container_executor.server.lifecycle import announce
from container_executor.server.process import Attribute, Process, State, insert, insert_attributes, render
from container_executor.server.roles import initiator_name, member
from container_executor.server.spec import FUNCTION_SPEC, Needs, check_priority, settle
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


def prepare(call: Call, spec: dict[str, Any], *, name: str, **graph: Any) -> Process:
    """Turn a decoded spec into a process that is not stored yet; *graph* places it in a workflow."""
    check_priority(spec)
    needs = settle(spec)
    return _process(
        call, spec, needs, {"parents": "[]", "children": "[]", "graphid": "", "waitforparents": 0} | graph, name
    )


def _process(call: Call, spec: dict[str, Any], needs: Needs, graph: dict[str, Any], name: str) -> Process:
    conditions = spec["conditions"]
    return Process(
        processid=graph.pop("processid", None) or new_id(),
        colony=conditions["colonyname"],
        executortype=conditions["executortype"],
        executornames=dump(conditions["executornames"]),
        location=conditions.get("locationname", ""),
        label=spec["label"],
        funcname=spec["funcname"],
        initiatorid=call.caller,
        initiatorname=name,
        state=int(State.WAITING),
        assigned="",
        prioritytime=call.now - spec["priority"] * DAY,
        submitted=call.now,
        started=0,
        ended=0,
        waitdeadline=after(call.now, spec["maxwaittime"]) if spec["maxwaittime"] > 0 else 0,
        execdeadline=0,
        due=None,
        maxwaittime=spec["maxwaittime"],
        maxexectime=spec["maxexectime"],
        maxretries=spec["maxretries"],
        retries=0,
        input="[]",
        output="[]",
        errors="[]",
        cpu=needs.cpu,
        memory=needs.memory,
        nodes=conditions["nodes"],
        processes=conditions["processes"],
        processespernode=conditions["processespernode"],
        spec=dump(spec),
        **graph,
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
    process = prepare(call, spec, name=initiator_name(call.db, spec_colony(call.message), call.caller))
    enqueue(call, process, spec["env"])
    return render(call.db, process)


HANDLERS = (
    Handler("submitfuncspecmsg", "submit process", struct(spec=needed(FUNCTION_SPEC)), member(spec_colony), submit),
)
"""The messages of this module."""
