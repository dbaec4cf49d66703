"""Turns the objects of an answer into values."""

from typing import Any

from container_executor.client.models import (
    Attribute,
    Executor,
    ExecutorState,
    FileEntry,
    FileRecord,
    Function,
    LogEntry,
    Process,
    ProcessGraph,
    ProcessState,
    Snapshot,
    Statistics,
)
from container_executor.client.reading import Reading


def process(row: Reading) -> Process:
    """Read a process."""
    return Process(
        id=row.id("processid"),
        state=row.choice("state", ProcessState),
        spec=row.mapping("spec"),
        colony=row.inner("spec").inner("conditions").text("colonyname"),
        executor_id=row.text("assignedexecutorid"),
        initiator=row.text("initiatorname"),
        initiator_id=row.text("initiatorid"),
        attempt=row.number("retries"),
        submitted=row.time("submissiontime"),
        started=row.time("starttime"),
        ended=row.time("endtime"),
        wait_deadline=row.time("waitdeadline"),
        exec_deadline=row.time("execdeadline"),
        attributes=tuple(attribute(item) for item in row.rows("attributes")),
        input=row.items("in"),
        output=row.items("out"),
        errors=row.texts("errors"),
        wait_for_parents=row.flag("waitforparents"),
        parents=row.texts("parents"),
        children=row.texts("children"),
        graph_id=row.text("processgraphid"),
    )


def attribute(row: Reading) -> Attribute:
    """Read an attribute."""
    return Attribute(
        id=row.text("attributeid"),
        process_id=row.text("targetid"),
        kind=row.number("attributetype"),
        key=row.text("key"),
        value=row.text("value"),
    )


def graph(row: Reading) -> ProcessGraph:
    """Read a graph of processes."""
    return ProcessGraph(
        id=row.id("processgraphid"),
        state=row.choice("state", ProcessState),
        colony=row.text("colonyname"),
        initiator=row.text("initiatorname"),
        root_ids=row.texts("rootprocessids"),
        process_ids=row.texts("processids"),
        submitted=row.time("submissiontime"),
        started=row.time("starttime"),
        ended=row.time("endtime"),
    )


def log_entry(row: Reading) -> LogEntry:
    """Read a log entry."""
    return LogEntry(
        process_id=row.text("processid"),
        executor=row.text("executorname"),
        message=row.text("message"),
        timestamp=row.number("timestamp"),
    )


def executor(row: Reading) -> Executor:
    """Read an executor."""
    return Executor(
        name=row.text("executorname"),
        id=row.text("executorid"),
        type=row.text("executortype"),
        colony=row.text("colonyname"),
        state=row.choice("state", ExecutorState),
        location=row.text("locationname"),
        capabilities=_capabilities(row.inner("capabilities")),
        allocations=row.mapping("allocations"),
        added=row.time("commissiontime"),
        last_heard=row.time("lastheardfromtime"),
    )


def _capabilities(row: Reading) -> dict[str, list[dict[str, Any]]]:
    return {key: [dict(item.fields) for item in _one_or_many(row, key)] for key in ("hardware", "software")}


def _one_or_many(row: Reading, key: str) -> list[Reading]:
    """Servers before 1.9.6 have one object where later ones have a list."""
    return [row.inner(key)] if isinstance(row.fields.get(key), dict) else row.rows(key)


def function(row: Reading) -> Function:
    """Read a function."""
    return Function(
        id=row.text("functionid"),
        name=row.text("funcname"),
        executor=row.text("executorname"),
        executor_type=row.text("executortype"),
        description=row.text("description"),
        calls=row.number("counter"),
        mean_wait=row.real("avgwaittime"),
        mean_run=row.real("avgexectime"),
    )


def statistics(row: Reading) -> Statistics:
    """Read a colony's counts."""
    return Statistics(
        executors=row.number("executors"),
        active_executors=row.number("activeexecutors"),
        unregistered_executors=row.number("unregisteredexecutors"),
        waiting_processes=row.number("waitingprocesses"),
        running_processes=row.number("runningprocesses"),
        successful_processes=row.number("successfulprocesses"),
        failed_processes=row.number("failedprocesses"),
        cancelled_processes=row.number("cancelledprocesses"),
        waiting_workflows=row.number("waitingworkflows"),
        running_workflows=row.number("runningworkflows"),
        successful_workflows=row.number("successfulworkflows"),
        failed_workflows=row.number("failedworkflows"),
        cancelled_workflows=row.number("cancelledworkflows"),
    )


def file_entry(row: Reading) -> FileEntry:
    """Read a line of a label's listing."""
    return FileEntry(
        name=row.text("name"),
        checksum=row.text("checksum"),
        size=row.number("size"),
        object=row.text("s3filename"),
    )


def file_record(row: Reading) -> FileRecord:
    """Read a file's record. Keys of an object store that some clients write into it are not taken over."""
    place = row.inner("ref").inner("s3object")
    return FileRecord(
        label=row.text("label"),
        name=row.text("name"),
        size=row.number("size"),
        checksum=row.text("checksum"),
        object=place.text("object"),
        bucket=place.text("bucket"),
        server=_server(place),
        tls=place.flag("tls"),
        region=place.text("region"),
        id=row.text("fileid"),
        revision=row.number("sequencenr"),
        added=row.time("added"),
    )


def _server(place: Reading) -> str:
    """Return ``host:port``: one client writes both as the server and the port -1, others write them apart."""
    server, port = place.text("server"), place.number("port")
    return f"{server}:{port}" if server and port > 0 else server


def snapshot(row: Reading) -> Snapshot:
    """Read a snapshot."""
    return Snapshot(
        id=row.text("snapshotid"),
        name=row.text("name"),
        label=row.text("label"),
        file_ids=row.texts("fileids"),
        added=row.time("added"),
    )
