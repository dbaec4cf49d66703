"""Whatever comes in, a spec or a SpecError comes out, and in linear time."""

import contextlib
import json
import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container_executor.errors import Problem, SpecError
from container_executor.funcspec import FunctionSpec, Limits, keys, make_job, parse, parse_text, to_wire, validate
from container_executor.models import Mark

PATIENT = settings(deadline=None, max_examples=200)  # the machine may be busy
MARK = Mark("0" * 8, "dev", "ab" * 32)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**30, -(10**30), 2**31, 2**63])
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        [
            "{processid}",
            "1Gi",
            "500m",
            "0.5",
            "2",
            "/cfs",
            "/d",
            "execute",
            "sync",
            'echo "$1"',
            "busybox",
            "a\0b",
            "\ud800",
        ]
    )
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


def object_of(table: keys.Keys, *required: str, **values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with right keys and values; some have a key in another spelling, obsolete or wrong, with any value."""
    needed = {name: values.pop(name) for name in required}
    right = st.fixed_dictionaries(needed, optional=values)
    names = st.sampled_from([*table.names, *table.synonyms, *table.misspelled, *table.obsolete]) | st.text(max_size=8)
    noise = st.integers(0, 11).flatmap(lambda n: st.just({}) if n else st.dictionaries(names, JSON, max_size=2))
    return st.tuples(right, noise).map(lambda parts: {**parts[0], **parts[1]})


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
COUNT = st.integers(0, 200)
TIME = st.integers(-1, 10**7)
CPU = st.sampled_from(["500m", "2", "0.5", 1, 0.25, "", "0m"])
SIZE = st.sampled_from(["1Gi", "1.5GB", "512 Mi", "10K", "", "0Mi", 0])
DIR = object_of(
    keys.DIR,
    "label",
    "dir",
    label=TEXT,
    dir=TEXT,
    keepfiles=st.booleans(),
    onconflicts=st.fixed_dictionaries(
        {}, optional={name: st.fixed_dictionaries({"keeplocal": st.booleans()}) for name in ("onstart", "onclose")}
    ),
)
SNAPSHOT = object_of(keys.SNAPSHOT, snapshotid=TEXT, label=TEXT, dir=TEXT, keepsnaphot=st.booleans())
SPECS = object_of(
    keys.SPEC,
    "funcname",
    "kwargs",
    funcname=st.sampled_from(["execute", "execute", "sync", "other"]),
    kwargs=object_of(
        keys.EXECUTE_KWARGS,
        "cmd",
        "docker-image",
        **{
            "cmd": TEXT | st.just("echo a"),
            "docker-image": st.sampled_from(["busybox", "a/b:c", "/x.sif"]),
            "args": st.lists(TEXT | st.integers(-9, 9) | st.booleans(), max_size=3),
            "init-cmd": TEXT,
            "lr": JSON,
        },
    ),
    conditions=object_of(
        keys.CONDITIONS,
        executortype=TEXT,
        executornames=st.lists(TEXT, max_size=2),
        nodes=COUNT,
        processespernode=COUNT,
        cpu=CPU,
        mem=SIZE,
        storage=SIZE,
        gpu=object_of(keys.GPU, count=COUNT, name=TEXT, mem=SIZE),
        walltime=TIME,
    ),
    fs=object_of(
        keys.FS, mount=TEXT | st.just("/cfs"), dirs=st.lists(DIR, max_size=3), snapshots=st.lists(SNAPSHOT, max_size=2)
    ),
    env=st.dictionaries(TEXT, TEXT, max_size=3),
    args=st.lists(JSON, max_size=2),
    maxexectime=TIME,
    maxwaittime=TIME,
    maxretries=st.integers(-1, 9),
    priority=st.integers(-9, 9),
    label=TEXT,
    channels=st.lists(TEXT, max_size=2),
)


def outcome(value: object, *, strict: bool = True) -> FunctionSpec | tuple[Problem, ...]:
    """Take a value through everything: the spec, or what is wrong with it. Any exception but SpecError fails the test."""
    try:
        spec = parse(value, strict=strict).spec
        assert parse(json.loads(json.dumps(to_wire(spec))), strict=strict).spec == spec
        validate(spec, Limits(images=("docker.io/*",), image_roots=("/",)))
        if spec.funcname == "execute":
            make_job(spec, MARK)
    except SpecError as error:
        return error.problems
    return spec


def is_spec_or_says_why(found: FunctionSpec | tuple[Problem, ...]) -> bool:
    return isinstance(found, FunctionSpec) or (
        len(found) > 0 and all(problem.message and len(str(problem)) < 600 for problem in found)
    )


@pytest.mark.parametrize("strict", [True, False])
@PATIENT
@given(value=JSON)
def test_any_json_gives_a_spec_or_a_spec_error(*, value: object, strict: bool) -> None:
    assert is_spec_or_says_why(outcome(value, strict=strict))


@pytest.mark.parametrize("strict", [True, False])
@PATIENT
@given(value=SPECS)
def test_anything_like_a_spec_gives_a_spec_or_a_spec_error_and_survives_the_wire(
    *, value: object, strict: bool
) -> None:
    assert is_spec_or_says_why(outcome(value, strict=strict))


@PATIENT
@given(st.text() | st.binary() | JSON.map(json.dumps))
def test_any_text_gives_a_spec_or_a_spec_error(text: str | bytes) -> None:
    with contextlib.suppress(SpecError):
        parse_text(text, "x.json")


@PATIENT
@given(TEXT, st.lists(TEXT, max_size=3), TEXT)
def test_a_job_never_loses_or_changes_an_argument(cmd: str, args: list[str], init: str) -> None:
    spec = FunctionSpec("execute", image="busybox", cmd=cmd, args=tuple(args), init_cmd=init)
    try:
        argv = make_job(spec, MARK).argv
    except SpecError:
        return

    given = () if args == [""] else tuple(arg.replace("{processid}", MARK.process_id) for arg in args)
    assert argv[len(argv) - len(given) :] == given


# --- large input ------------------------------------------------------------------------------------------------------

EXECUTE = {"funcname": "execute", "conditions": {"executortype": "x"}}


def large(count: int) -> dict[str, Any]:
    """Many of everything that there may be many of."""
    return {
        **EXECUTE,
        "kwargs": {
            "cmd": "echo " + "a'b'\"c\"\\d" * count,
            "docker-image": "busybox",
            "args": ["{processid}"] * count,
            "extra": {str(i): [i] for i in range(count)},
        },
        "env": {f"A{i}": "{processid}" for i in range(count)},
        "fs": {"mount": "/cfs", "dirs": [{"label": f"/l{i}", "dir": f"/d{i}"} for i in range(count)]},
    }


def wrong(count: int) -> dict[str, Any]:
    """Many of everything that may be wrong."""
    return {
        **EXECUTE,
        **{f"maxexectimes{i}": i for i in range(count)},
        "kwargs": {
            "cmd": ["a"] * count,
            "docker-image": "a." * count,
            "args": [None] * count,
            **{f"arg{i}": i for i in range(count)},
        },
        "env": {f"A={i}": [] for i in range(count)},
        "fs": {"mount": "/" * count, "dirs": [{"label": "/l", "dir": "/d" + "/e" * (i % 50)} for i in range(count)]},
        "conditions": {"mem": "9" * count, "cpu": "." * count, "nodes": "1" * count},
    }


def calls_of(action: Callable[[], object]) -> int:
    """Return how many Python and C functions an action calls."""
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, argument: object) -> None:
        calls[event] += 1

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return calls["call"] + calls["c_call"]


@pytest.mark.parametrize("make", [large, wrong])
def test_twice_the_input_is_twice_the_work(make: Callable[[int], dict[str, Any]]) -> None:
    small, double = make(2000), make(4000)

    assert calls_of(lambda: outcome(double)) < 2.3 * calls_of(lambda: outcome(small))


def test_a_right_spec_of_two_megabytes_is_read() -> None:
    text = json.dumps(large(18_000))
    assert 1.8e6 < len(text) < 3.2e6

    spec = parse_text(text).spec

    assert len(spec.args) == 18_000
    assert parse(to_wire(spec)).spec == spec
    with pytest.raises(SpecError, match="this site allows"):
        validate(spec)


def test_a_wrong_spec_of_two_megabytes_is_refused() -> None:
    text = json.dumps(wrong(18_000))
    assert 1.8e6 < len(text) < 3.2e6

    with pytest.raises(SpecError) as raised:
        parse_text(text)

    assert len(raised.value.problems) == 101


@pytest.mark.usefixtures("no_garbage")
@pytest.mark.parametrize(
    "text",
    [
        '{"kwargs": ' * 900 + "1" + "}" * 900,
        '{"funcname": "execute", "kwargs": {"a": ' + '{"b": [' * 400 + "]}" * 400 + "}}",
        '{"nodes": ' + "[" * 900 + "]" * 900 + ', "Nodes": ' + "[" * 900 + "]" * 900 + "}",
    ],
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(SpecError):
        parse_text(text)


@pytest.mark.parametrize(
    "cmd",
    [
        "'" * 100_000,
        '"' * 99_999,
        "\\" * 99_999,
        "$(" * 50_000,
        "for " + "x " * 50_000,
        "a " * 60_000 + ";",
        "done " * 25_000,
        '"\\' * 50_000,
    ],
)
def test_a_hostile_shell_line_takes_no_longer_than_its_length(cmd: str) -> None:
    found = outcome({**EXECUTE, "kwargs": {"cmd": cmd, "args": ["x"], "docker-image": "busybox"}})

    assert is_spec_or_says_why(found)
