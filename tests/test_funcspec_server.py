"""What a server makes of a spec means the same when it is read again."""

import json
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from container_executor.client import Client, Identity
from container_executor.funcspec import FunctionSpec, Parsed, parse, parse_text, to_wire
from container_executor.server import Server

ROOT = Path(__file__).parents[1]
SPECS = sorted((ROOT / "examples" / "specs").glob("*.json"))


def returned_by_server(folder: Path, specs: list[FunctionSpec]) -> list[Parsed]:
    """Submit each to an embedded server, and read what it returns for the process."""

    async def submit_all() -> list[Parsed]:
        owner, user = Identity.new(), Identity.new()
        server = Server(folder / "server.sqlite", server_id=owner.id, durability="normal")
        async with server:
            await server.bootstrap("dev", owner.id, [("tester", user.id)])
            async with Client(f"http://127.0.0.1:{server.port}", "dev", user) as client:
                submitted = [await client.submit(to_wire(spec)) for spec in specs]
                processes = [await client.process(process.id) for process in submitted]
        return [parse(process.spec, strict=False) for process in processes]

    return anyio.run(submit_all)


def in_colony(spec: FunctionSpec) -> FunctionSpec:
    return attrs.evolve(spec, conditions=attrs.evolve(spec.conditions, colony="dev"))


def test_every_example_comes_back_from_a_server_as_it_was_written(tmp_path: Path) -> None:
    written = [in_colony(parse_text(path.read_bytes()).spec) for path in SPECS]

    returned = returned_by_server(tmp_path, written)

    assert [parsed.spec for parsed in returned] == written
    assert {path.stem: parsed.warnings for path, parsed in zip(SPECS, returned, strict=True) if parsed.warnings} == {}


@pytest.mark.parametrize(
    ("mem", "cpu"),
    [("1G", "500m"), ("2000MB", 2), ("10K", 0.5), ("1.5Gi", "0.25"), ("1Ti", "1m"), ("", ""), ("0Mi", "0m")],
)
def test_quantities_come_back_from_a_server_as_they_were_meant(mem: str, cpu: object, tmp_path: Path) -> None:
    conditions = {"executortype": "x", "mem": mem, "cpu": cpu, "gpu": {"count": 1, "mem": mem or "0Mi"}}
    written = in_colony(parse({"funcname": "sync", "conditions": conditions}).spec)

    assert returned_by_server(tmp_path, [written])[0].spec == written


def recorded(step: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A spec that was submitted to a Colonies server, and how the server returned it."""
    calls = json.loads((ROOT / "tests" / "wire" / "calls.json").read_text())
    answers = json.loads((ROOT / "tests" / "wire" / "answers.json").read_text())
    sent = next(call["fields"]["spec"] for call in calls if call["step"] == step)
    return sent, answers[step]["reply"]["spec"]


def test_a_full_spec_comes_back_from_a_colonies_server_as_it_was_written() -> None:
    sent, returned = recorded("submit")

    written, read = parse(sent), parse(returned, strict=False)

    assert read.spec == written.spec
    assert {problem.path for problem in written.warnings} == {"args", "conditions.gpu.nodecount"}
    assert {problem.path for problem in read.warnings} == {"args"}
