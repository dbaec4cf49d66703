"""Every example that is shipped can be submitted as it is, and every form that users have on disk is read or explained."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from container_executor.errors import SpecError
from container_executor.funcspec import Parsed, keys, make_job, parse, parse_text, substitute, to_wire, validate
from container_executor.models import Mark

EXAMPLES = Path(__file__).parents[1] / "examples"
SPECS = sorted((EXAMPLES / "specs").glob("*.json"))
WORKFLOWS = sorted((EXAMPLES / "workflows").glob("*.json"))
NEED_A_SNAPSHOT = {"python_snapshot", "classifier"}
MARK = Mark("0" * 8, "dev", "ab" * 32)


def read(path: Path) -> Parsed:
    return parse_text(path.read_bytes(), path.name)


def named(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", SPECS, ids=named)
def test_an_example_is_read_and_survives_the_wire(path: Path) -> None:
    parsed = read(path)

    assert parse_text(json.dumps(to_wire(parsed.spec))).spec == parsed.spec
    assert [problem.path for problem in parsed.warnings] == (
        ["fs.snapshots[0].keepsnaphot"] if path.stem == "classifier" else []
    )


@pytest.mark.parametrize("path", [path for path in SPECS if path.stem not in NEED_A_SNAPSHOT], ids=named)
def test_an_example_can_run(path: Path) -> None:
    spec = read(path).spec

    validate(spec)
    if spec.funcname == "execute":
        assert make_job(spec, MARK).argv


@pytest.mark.parametrize("path", [path for path in SPECS if path.stem in NEED_A_SNAPSHOT], ids=named)
def test_an_example_that_needs_a_snapshot_says_so(path: Path) -> None:
    with pytest.raises(SpecError) as raised:
        validate(read(path).spec)

    assert {problem.path.rpartition(".")[2] for problem in raised.value.problems} == {"snapshotid"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=named)
def test_every_step_of_a_workflow_is_a_spec_that_can_run(path: Path) -> None:
    specs = [parse(step).spec for step in json.loads(path.read_text())]

    names = [spec.nodename for spec in specs]
    assert len(set(names)) == len(names)
    for spec in specs:
        validate(spec)
        assert set(spec.conditions.dependencies) < set(names)


def test_the_first_example_runs_with_busybox_and_little_else() -> None:
    spec = read(EXAMPLES / "specs" / "hello.json").spec

    job = make_job(spec, MARK)
    assert (job.image, job.argv) == ("busybox", ("echo", "Hello, World!"))
    assert (job.ranks, job.gpus, job.mounts, job.env) == (1, 0, (), {})


def test_the_documented_mixture_of_directories_is_kept() -> None:
    spec = substitute(read(EXAMPLES / "specs" / "model_server.json").spec, MARK.process_id)

    assert spec.fs is not None
    assert [(entry.keeplocal_on_start, entry.keeplocal_on_close) for entry in spec.fs.dirs] == [
        (False, False),
        (False, False),
        (True, False),
        (True, True),
    ]
    assert all(entry.keepfiles for entry in spec.fs.dirs)


# --- forms that nobody understands any more ---------------------------------------------------------------------------

OBSOLETE: list[tuple[str, dict[str, Any], set[str]]] = [
    (
        "directories as a list, synced on completion",
        {
            "conditions": {
                "executortype": "borg-hpcexecutor",
                "nodes": 1,
                "processes_per_node": 1,
                "mem": "30G",
                "cpu": "1000m",
            },
            "funcname": "execute",
            "kwargs": {"cmd": "python3", "docker-image": "python:3.12", "args": ["/cfs/src/main.py"]},
            "fs": [{"label": "/src", "dir": "/src", "snapshotid": "x", "sync_on_completion": False}],
            "maxexectime": 500,
        },
        {"fs"},
    ),
    (
        "a process spec for a runtime",
        {"conditions": {"runtimetype": "fibonacci"}, "env": {"fibonacciNum": "10"}},
        {"conditions.runtimetype", "funcname", "kwargs.cmd", "kwargs.docker-image"},
    ),
    (
        "a process spec with resources of a runtime",
        {
            "conditions": {"colonyid": "x", "runtimeids": [], "runtimetype": "cli", "mem": 10, "cores": 1, "gpus": 1},
            "timeout": -1,
        },
        {
            "conditions.colonyid",
            "conditions.runtimeids",
            "conditions.runtimetype",
            "conditions.mem",
            "conditions.cores",
            "conditions.gpus",
            "timeout",
            "funcname",
            "kwargs.cmd",
            "kwargs.docker-image",
        },
    ),
]


@pytest.mark.parametrize(("written", "paths"), [row[1:] for row in OBSOLETE], ids=[row[0] for row in OBSOLETE])
def test_an_obsolete_spec_is_refused_naming_every_place(written: dict[str, Any], paths: set[str]) -> None:
    with pytest.raises(SpecError) as raised:
        parse(written)

    assert {problem.path for problem in raised.value.problems} == paths


# --- the reference that researchers read ------------------------------------------------------------------------------

REFERENCE = (EXAMPLES.parent / "docs" / "function-specs.md").read_text()


@pytest.mark.parametrize("text", re.findall(r"```json\n(.*?)```", REFERENCE, re.DOTALL))
def test_the_specs_of_the_documentation_can_run(text: str) -> None:
    parsed = parse_text(text)

    assert parsed.warnings == ()
    validate(parsed.spec)
    make_job(parsed.spec, MARK)


@pytest.mark.parametrize(
    "table", [keys.SPEC, keys.CONDITIONS, keys.GPU, keys.EXECUTE_KWARGS, keys.FS, keys.DIR, keys.SNAPSHOT]
)
def test_every_key_is_documented(table: keys.Keys) -> None:
    for name in table.names:
        assert re.search(rf"^\| `{name}[`.]", REFERENCE, re.MULTILINE), name


@pytest.mark.parametrize(
    ("written", "mebibytes"), re.findall(r"^\| `([\d.]+\w+)` \| (\d+) MiB", REFERENCE, re.MULTILINE)
)
def test_the_sizes_of_the_documentation_are_right(written: str, mebibytes: str) -> None:
    parsed = parse({"funcname": "sync", "conditions": {"executortype": "x", "mem": written}})

    assert parsed.spec.conditions.memory == int(mebibytes) * 2**20
