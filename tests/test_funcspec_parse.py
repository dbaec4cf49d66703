"""Reading function specs: every spelling, every default, and errors that name each place."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from container_executor.errors import SpecError
from container_executor.funcspec import (
    Conditions,
    DirSync,
    Filesystem,
    FunctionSpec,
    Gpu,
    SnapshotMount,
    parse,
    parse_text,
    to_wire,
)


def spec(**members: Any) -> dict[str, Any]:
    """A spec that is right, with some members replaced."""
    return {
        "funcname": "execute",
        "kwargs": {"cmd": "echo", "docker-image": "busybox"},
        "conditions": {"executortype": "container-executor"},
        **members,
    }


def with_conditions(**members: Any) -> dict[str, Any]:
    return spec(conditions={"executortype": "container-executor", **members})


def with_kwargs(**members: Any) -> dict[str, Any]:
    return spec(kwargs={"cmd": "echo", "docker-image": "busybox", **members})


def read(value: object) -> FunctionSpec:
    parsed = parse(value)
    assert parsed.warnings == ()
    return parsed.spec


def problems(value: object, *, strict: bool = True) -> dict[str, str]:
    with pytest.raises(SpecError) as raised:
        parse(value, strict=strict)
    return {problem.path: problem.message for problem in raised.value.problems}


def warnings(value: object, *, strict: bool = True) -> dict[str, str]:
    return {problem.path: problem.message for problem in parse(value, strict=strict).warnings}


# --- what a spec says -------------------------------------------------------------------------------------------------


def test_a_spec_with_everything_is_read() -> None:
    written = {
        "nodename": "node",
        "funcname": "execute",
        "kwargs": {
            "docker-image": "ubuntu:20.04",
            "cmd": "python3",
            "args": ["a b", 1, 2.5, True],
            "init-cmd": "cd /src",
            "rebuild-image": True,
            "learning-rate": 0.1,
        },
        "priority": 3,
        "maxwaittime": 10,
        "maxexectime": 80,
        "maxretries": 3,
        "conditions": {
            "colonyname": "dev",
            "executornames": ["one", "two"],
            "executortype": "container-executor",
            "locationname": "kista",
            "dependencies": ["before"],
            "nodes": 2,
            "cpu": "500m",
            "processes": 4,
            "processespernode": 2,
            "mem": "1Gi",
            "gpu": {"name": "a100", "mem": "40Gi", "count": 2},
            "walltime": 90,
        },
        "label": "lbl",
        "fs": {
            "mount": "/cfs",
            "snapshots": [
                {"snapshotid": "s", "label": "/src", "dir": "/src", "keepfiles": True, "keepsnapshot": True},
            ],
            "dirs": [
                {
                    "label": "/out",
                    "dir": "/out",
                    "keepfiles": True,
                    "onconflicts": {"onstart": {"keeplocal": False}, "onclose": {"keeplocal": True}},
                },
            ],
        },
        "env": {"K": "V", "N": 1, "B": True, "EMPTY": ""},
        "channels": ["log"],
    }

    assert read(written) == FunctionSpec(
        funcname="execute",
        conditions=Conditions(
            colony="dev",
            executor_type="container-executor",
            executor_names=("one", "two"),
            nodes=2,
            processes_per_node=2,
            processes=4,
            cpu=500,
            memory=2**30,
            gpu=Gpu(count=2, name="a100", memory=40 * 2**30),
            walltime=timedelta(seconds=90),
            location="kista",
            dependencies=("before",),
        ),
        image="ubuntu:20.04",
        cmd="python3",
        args=("a b", "1", "2.5", "true"),
        init_cmd="cd /src",
        rebuild_image=True,
        env={"K": "V", "N": "1", "B": "true", "EMPTY": ""},
        fs=Filesystem(
            mount="/cfs",
            dirs=(DirSync("/out", "/out", keepfiles=True, keeplocal_on_close=True),),
            snapshots=(SnapshotMount("s", "/src", "/src", keepfiles=True, keepsnapshot=True),),
        ),
        maxwaittime=10,
        maxexectime=80,
        maxretries=3,
        priority=3,
        label="lbl",
        nodename="node",
        channels=("log",),
        kwargs={"learning-rate": 0.1},
    )


def test_everything_missing_has_a_default() -> None:
    parsed = read(spec())

    assert parsed == FunctionSpec(
        funcname="execute",
        conditions=Conditions(executor_type="container-executor", nodes=1, processes_per_node=1),
        image="busybox",
        cmd="echo",
        maxwaittime=-1,
        maxexectime=-1,
        maxretries=0,
    )
    assert parsed.walltime is None
    assert parsed.fs is None


def test_null_is_the_same_as_missing() -> None:
    written = spec(
        args=None,
        env=None,
        fs=None,
        label=None,
        maxexectime=None,
        conditions={
            "executortype": "container-executor",
            "executornames": None,
            "gpu": None,
            "nodes": None,
            "mem": None,
        },
        kwargs={"cmd": "echo", "docker-image": "busybox", "args": None, "init-cmd": None, "rebuild-image": None},
    )

    assert read(written) == read(spec())


# --- spellings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["processespernode", "processes-per-node", "processes_per_node", "ProcessesPerNode"])
def test_processes_per_node_in_every_spelling(key: str) -> None:
    assert read(with_conditions(**{key: 2})).conditions.processes_per_node == 2


@pytest.mark.parametrize("key", ["docker-image", "docker_image", "dockerimage", "dockerImage", "image"])
def test_the_image_in_every_spelling(key: str) -> None:
    assert read(spec(kwargs={"cmd": "echo", key: "ubuntu:20.04"})).image == "ubuntu:20.04"


@pytest.mark.parametrize("image", ["docker://ubuntu:20.04", " ubuntu:20.04\n"])
def test_an_image_as_the_users_of_apptainer_write_it(image: str) -> None:
    assert read(spec(kwargs={"cmd": "echo", "docker-image": image})).image == "ubuntu:20.04"


@pytest.mark.parametrize(
    ("written", "name", "value"),
    [
        (with_kwargs(init_cmd="cd /"), "init_cmd", "cd /"),
        (with_kwargs(**{"init-cmd": "cd /"}), "init_cmd", "cd /"),
        (with_kwargs(initcmd="cd /"), "init_cmd", "cd /"),
        (with_kwargs(**{"rebuild-image": True}), "rebuild_image", True),
        (with_kwargs(rebuild_image=True), "rebuild_image", True),
        (spec(**{"max-exec-time": 5}), "maxexectime", 5),
        (spec(MaxRetries=-1), "maxretries", -1),
        (spec(max_wait_time=5), "maxwaittime", 5),
        ({**spec(), "FuncName": "execute"}, "funcname", "execute"),
    ],
)
def test_hyphens_underscores_and_case_do_not_count(written: dict[str, Any], name: str, value: object) -> None:
    assert getattr(read(written), name) == value


@pytest.mark.parametrize(
    ("key", "name", "written", "value"),
    [
        ("memory", "memory", "1Gi", 2**30),
        ("mem", "memory", "1Gi", 2**30),
        ("location", "location", "kista", "kista"),
        ("locationname", "location", "kista", "kista"),
        ("colony", "colony", "dev", "dev"),
        ("colony_name", "colony", "dev", "dev"),
        ("executor-type", "executor_type", "x", "x"),
    ],
)
def test_conditions_in_every_spelling(key: str, name: str, written: object, value: object) -> None:
    assert getattr(parse(spec(conditions={key: written})).spec.conditions, name) == value


def test_gpu_memory_in_both_spellings() -> None:
    assert (
        read(with_conditions(gpu={"memory": "1Gi"})).conditions.gpu
        == read(with_conditions(gpu={"mem": "1Gi"})).conditions.gpu
    )


@pytest.mark.parametrize("key", ["keepsnaphot", "keep_snaphot", "keepsnapshots"])
def test_a_misspelled_keepsnapshot_is_meant_and_warned_of(key: str) -> None:
    written = spec(fs={"mount": "/cfs", "snapshots": [{"snapshotid": "s", "label": "/l", "dir": "/d", key: True}]})

    parsed = parse(written)

    assert parsed.spec.fs is not None
    assert parsed.spec.fs.snapshots[0].keepsnapshot
    assert [problem.path for problem in parsed.warnings] == [f"fs.snapshots[0].{key}"]
    assert "is read as keepsnapshot" in parsed.warnings[0].message


def test_one_thing_in_two_spellings_must_be_the_same() -> None:
    assert read(with_conditions(**{"processespernode": 2, "processes-per-node": 2})).conditions.processes_per_node == 2
    assert problems(with_conditions(**{"processespernode": 2, "processes-per-node": 3})) == {
        "conditions.processes-per-node": 'says something else than "processespernode"; leave one of them out',
    }


@pytest.mark.parametrize(
    ("written", "path", "advice"),
    [
        (with_conditions(procesespernode=2), "conditions.procesespernode", "did you mean processespernode?"),
        (with_conditions(memry="1Gi"), "conditions.memry", "did you mean mem?"),
        (spec(maxexectme=3), "maxexectme", "did you mean maxexectime?"),
        (spec(zzz=3), "zzz", "there are nodename, funcname, args"),
        (spec(**{"a b": 3}), '["a b"]', "unknown key"),
        (spec(fs={"mount": "/cfs", "dir": []}), "fs.dir", "did you mean dirs?"),
        (with_conditions(gpu={"cout": 1}), "conditions.gpu.cout", "did you mean count?"),
        (
            spec(fs={"mount": "/cfs", "dirs": [{"label": "/l", "dir": "/d", "onconflicts": {"onstop": {}}}]}),
            "fs.dirs[0].onconflicts.onstop",
            "did you mean onstart?",
        ),
    ],
)
def test_an_unknown_key_is_an_error_with_the_nearest_valid_one(written: object, path: str, advice: str) -> None:
    assert advice in problems(written)[path]
    assert advice in warnings(written, strict=False)[path]


@pytest.mark.parametrize(
    ("written", "path", "advice"),
    [
        (
            spec(fs=[{"label": "/l", "dir": "/d", "sync_on_completion": True}]),
            "fs",
            'write {"mount": "/cfs", "dirs": [',
        ),
        (spec(conditions={"runtimetype": "x"}), "conditions.runtimetype", "write executortype"),
        (with_conditions(runtimeids=["x"]), "conditions.runtimeids", "write executornames"),
        (with_conditions(colonyid="x"), "conditions.colonyid", "write colonyname"),
        (with_conditions(cores=2), "conditions.cores", "write cpu"),
        (with_conditions(timeout=2), "conditions.timeout", "write walltime"),
        (with_conditions(executorid="x"), "conditions.executorid", "write executornames"),
        (spec(timeout=2), "timeout", "write maxexectime"),
        (spec(cmd="echo"), "cmd", "write it as kwargs.cmd"),
        (
            spec(fs={"mount": "/cfs", "dirs": [{"label": "/l", "dir": "/d", "sync_on_completion": True}]}),
            "fs.dirs[0].sync_on_completion",
            "onconflicts.onclose.keeplocal",
        ),
    ],
)
def test_an_obsolete_form_is_an_error_that_says_what_to_write(written: object, path: str, advice: str) -> None:
    assert advice in problems(written)[path]


def test_a_keyword_argument_near_a_known_one_is_kept_with_a_warning() -> None:
    parsed = parse(with_kwargs(**{"arg": ["x"], "debug": True, "keep_snapshots": True, "learning-rate": 0.1}))

    assert parsed.spec.kwargs == {"arg": ["x"], "debug": True, "keep_snapshots": True, "learning-rate": 0.1}
    assert {problem.path: problem.message for problem in parsed.warnings} == {
        "kwargs.arg": "means nothing to execute; did you mean args?",
    }


# --- quantities and numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "millicores"),
    [
        ("10m", 10),
        ("2400m", 2400),
        ("1m", 1),
        ("2", 2000),
        (2, 2000),
        (0.5, 500),
        ("0.5", 500),
        (1e-7, 1),
        ("", 0),
        ("0m", 0),
        (0, 0),
    ],
)
def test_cpu_as_millicores_or_cores(written: object, millicores: int) -> None:
    assert read(with_conditions(cpu=written)).conditions.cpu == millicores


@pytest.mark.parametrize("written", ["2000M", "-10000m", "abcm", "m", -1, -0.5, "x" * 100, 10**30, True, ["1"], {}])
def test_what_is_no_cpu_is_refused(written: object) -> None:
    assert list(problems(with_conditions(cpu=written))) == ["conditions.cpu"]
    assert list(problems(with_conditions(cpu=written), strict=False)) == ["conditions.cpu"]


def test_thousands_of_cores_are_probably_millicores() -> None:
    assert warnings(with_conditions(cpu="2000")) == {"conditions.cpu": "asks for 2000 cores; did you mean 2000m?"}


@pytest.mark.parametrize(
    ("written", "mebibytes"),
    [
        ("1Mi", 1),
        ("1000Mi", 1000),
        ("1Gi", 1024),
        ("1.5Gi", 1536),
        ("0.5Gi", 512),
        ("1Ti", 2**20),
        ("1024Ki", 1),
        ("1000Mib", 1000),
        ("2GiB", 2048),
        ("1K", 1),
        ("10G", 9537),
        ("10GB", 9537),
        ("2000MB", 1908),
        ("0Gi", 0),
        ("0Mi", 0),
        ("", 0),
        ("0", 0),
        (0, 0),
    ],
)
def test_memory_in_whole_mib_rounded_up(written: object, mebibytes: int) -> None:
    assert read(with_conditions(mem=written)).conditions.memory == mebibytes * 2**20


@pytest.mark.parametrize(
    "written", ["aMi", "-1Gi", "-1", "1XYZ", "1024", 1024, 0.5, "0.5", "9" * 19 + "B", True, ["1Gi"]]
)
def test_what_is_no_memory_is_refused(written: object) -> None:
    assert list(problems(with_conditions(mem=written))) == ["conditions.mem"]


def test_memory_without_a_unit_is_refused_with_both_meanings() -> None:
    assert problems(with_conditions(mem=1024)) == {
        "conditions.mem": '"1024" has no unit; write 1024Mi for MiB or 1024B for bytes',
    }


@pytest.mark.parametrize("seconds", [10, 59, 60, 3661, 86400, 360000])
def test_walltime_is_seconds(seconds: int) -> None:
    assert read(with_conditions(walltime=seconds)).conditions.walltime == timedelta(seconds=seconds)


@pytest.mark.parametrize("seconds", [0, -1, None])
def test_no_walltime(seconds: int | None) -> None:
    assert read(with_conditions(walltime=seconds)).conditions.walltime is None


@pytest.mark.parametrize("written", [-5, 1.5, "100", True, 2**31, 1e300, [1]])
def test_what_is_no_walltime_is_refused(written: object) -> None:
    assert list(problems(with_conditions(walltime=written))) == ["conditions.walltime"]


@pytest.mark.parametrize("name", ["nodes", "processespernode", "processes"])
@pytest.mark.parametrize(
    "written", [-1, 0.5, "2", True, 2**31, float("inf"), float("nan"), pytest.param(10**5000, id="huge")]
)
def test_what_is_no_count_is_refused(name: str, written: object) -> None:
    assert list(problems(with_conditions(**{name: written}))) == [f"conditions.{name}"]


@pytest.mark.parametrize("written", [0, 1, 1.0])
def test_nodes_and_processes_per_node_default_to_one(written: object) -> None:
    conditions = read(with_conditions(nodes=written, processespernode=written)).conditions

    assert (conditions.nodes, conditions.processes_per_node, conditions.ranks) == (1, 1, 1)


BASE_CONDITIONS = {
    "executortype": "container-executor",
    "nodes": 1,
    "processespernode": 1,
    "mem": "1000Mi",
    "cpu": "100m",
    "walltime": 100,
}
BASE = spec(conditions=BASE_CONDITIONS, maxexectime=10, maxretries=3)


@pytest.mark.parametrize(
    "missing", ["processespernode", "nodes", "mem", "cpu", "walltime", "maxretries", "maxexectime"]
)
def test_what_the_old_executors_demanded_may_be_missing(missing: str) -> None:
    conditions = {key: value for key, value in BASE_CONDITIONS.items() if key != missing}

    read({key: value for key, value in {**BASE, "conditions": conditions}.items() if key != missing})


@pytest.mark.parametrize(("walltime", "maxexectime"), [(100, 10), (100, 100), (100, 1000)])
def test_walltime_and_maxexectime_may_be_in_any_order(walltime: int, maxexectime: int) -> None:
    parsed = read(spec(conditions={**BASE_CONDITIONS, "walltime": walltime}, maxexectime=maxexectime))

    assert (parsed.walltime, parsed.maxexectime) == (timedelta(seconds=walltime), maxexectime)


@pytest.mark.parametrize("name", ["maxwaittime", "maxexectime", "maxretries"])
def test_minus_one_is_no_limit_and_less_is_refused(name: str) -> None:
    assert getattr(read(spec(**{name: -1})), name) == -1
    assert problems(spec(**{name: -2})) == {name: "is the number -2, expected -1 to 2147483647"}


@pytest.mark.parametrize("priority", [50_001, -50_001])
def test_a_priority_that_the_server_refuses_is_refused(priority: int) -> None:
    assert list(problems(spec(priority=priority))) == ["priority"]


def test_what_will_surprise_the_user_is_warned_of() -> None:
    assert list(warnings(spec(conditions={}))) == ["conditions.executortype"]
    assert list(warnings(with_conditions(storage="1Gi"))) == ["conditions.storage"]
    assert list(warnings(with_conditions(processes=4))) == ["conditions.processes"]
    assert list(warnings(with_conditions(gpu={"count": 1, "nodecount": 2}))) == ["conditions.gpu.nodecount"]
    assert list(warnings(spec(args=["x"]))) == ["args"]


# --- texts, args, env, fs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "word"),
    [
        ("a b", "a b"),
        ("", ""),
        (1, "1"),
        (-5, "-5"),
        (2.5, "2.5"),
        (1.0, "1.0"),
        (True, "true"),
        (False, "false"),
        (2**60, str(2**60)),
    ],
)
def test_args_and_env_values_are_texts_numbers_and_booleans(written: object, word: str) -> None:
    assert read(with_kwargs(args=[written])).args == (word,)
    assert read(spec(env={"A": written})).env == {"A": word}


@pytest.mark.parametrize(
    "written",
    [None, [], {}, float("nan"), float("inf"), 10**30, pytest.param(10**5000, id="huge"), "nul\0", "half \ud800"],
)
def test_what_no_program_can_be_given_is_refused(written: object) -> None:
    assert list(problems(with_kwargs(args=["a", written]))) == ["kwargs.args[1]"]
    assert list(problems(spec(env={"A": written}))) == ["env.A"]


@pytest.mark.parametrize("written", ["hello", {"0": "hello"}, 1, True])
def test_args_that_are_no_list_are_refused_not_lost(written: object) -> None:
    assert "expected a list such as" in problems(with_kwargs(args=written))["kwargs.args"]
    assert "expected a list such as" in problems(with_kwargs(args=written), strict=False)["kwargs.args"]


@pytest.mark.parametrize("name", ["cmd", "init-cmd", "docker-image"])
def test_texts_must_be_texts(name: str) -> None:
    assert list(problems(with_kwargs(**{name: 1}))) == [f"kwargs.{name}"]
    assert list(problems(with_kwargs(**{name: "a\0b"}))) == [f"kwargs.{name}"]


@pytest.mark.parametrize("name", ["cmd", "docker-image"])
@pytest.mark.parametrize("written", [None, ""])
def test_execute_needs_a_command_and_an_image(name: str, written: str | None) -> None:
    assert "missing; expected a text such as" in problems(with_kwargs(**{name: written}))[f"kwargs.{name}"]


def test_a_boolean_in_quotes_is_refused() -> None:
    assert problems(with_kwargs(**{"rebuild-image": "false"})) == {
        "kwargs.rebuild-image": 'is the text "false", expected true or false',
    }


@pytest.mark.parametrize("fs", [None, {}, {"mount": ""}, {"mount": "", "dirs": None, "snapshots": None}, {"dirs": []}])
def test_an_empty_fs_is_none(fs: object) -> None:
    assert read(spec(fs=fs)).fs is None


def test_slashes_of_labels_dirs_and_mount_are_made_regular() -> None:
    fs = {
        "mount": "/cfs/",
        "dirs": [{"label": "in", "dir": "in/"}],
        "snapshots": [{"snapshotid": "s", "label": "a", "dir": "b"}],
    }

    assert read(spec(fs=fs)).fs == Filesystem("/cfs", (DirSync("/in", "/in"),), (SnapshotMount("s", "/a", "/b"),))


def test_sync_needs_neither_image_nor_command() -> None:
    parsed = read(
        {
            "funcname": "sync",
            "conditions": {"executortype": "x"},
            "fs": {"mount": "/cfs", "dirs": [{"label": "/l", "dir": "/d"}]},
        }
    )

    assert parsed.fs is not None
    assert (parsed.image, parsed.cmd) == ("", "")


def test_other_functions_keep_all_their_arguments() -> None:
    kwargs = {"cmd": 1, "args": {"a": [None, 1.5]}, "docker-image": None}

    parsed = read(spec(funcname="train", kwargs=kwargs, args=[1, "a", None, {"x": [1]}]))

    assert parsed.kwargs == kwargs
    assert parsed.positional == (1, "a", None, {"x": [1]})
    assert (parsed.cmd, parsed.args, parsed.image) == ("", (), "")


# --- all problems at once ---------------------------------------------------------------------------------------------


def test_every_problem_is_named_at_once() -> None:
    written = {
        "conditions": {"nodes": -1, "procesespernode": 1, "mem": "lots", "cpu": "fast", "gpu": 1, "processes": 200},
        "kwargs": {"docker_image": "No Image", "args": ["ok", None], "cmd": "echo a; "},
        "fs": {"mount": "cfs", "dirs": [{"dir": "/../x"}, "label"], "snapshots": [{"label": "/l", "dir": "/d"}]},
        "maxexectime": "long",
        "env": {"A": None, "B=": "c"},
    }

    assert sorted(problems(written)) == sorted(
        [
            "conditions.procesespernode",
            "conditions.nodes",
            "conditions.mem",
            "conditions.cpu",
            "conditions.gpu",
            "conditions.processes",
            "funcname",
            "env.A",
            'env["B="]',
            "fs.dirs[1]",
            "fs.mount",
            "fs.dirs[0].label",
            "fs.dirs[0].dir",
            "fs.dirs[1].label",
            "fs.dirs[1].dir",
            "fs.snapshots[0].snapshotid",
            "maxexectime",
            "kwargs.args[1]",
            "kwargs.args",
            "kwargs.docker-image",
        ]
    )


@pytest.mark.parametrize(
    "value", [None, True, 1, 1.5, "text", [], [spec()], set(), object(), {1: 2}, {"funcname": b"x"}]
)
def test_what_is_no_spec_is_refused(value: object) -> None:
    for strict in (True, False):
        with pytest.raises(SpecError):
            parse(value, strict=strict)


def test_a_workflow_is_no_spec() -> None:
    assert "a workflow" in problems([spec()])[""]


def test_thousands_of_problems_are_counted_not_listed() -> None:
    with pytest.raises(SpecError) as raised:
        parse(with_kwargs(args=[None] * 5000))

    assert len(raised.value.problems) == 101
    assert raised.value.problems[-1].message == "and 4900 more"


def test_problems_are_short_however_long_the_input() -> None:
    long = "x" * 100_000
    with pytest.raises(SpecError) as raised:
        parse(
            {
                long: 1,
                "conditions": {long: 1, "mem": long, "nodes": long},
                "kwargs": {"cmd": [long], "args": long},
                "env": {long: None},
            }
        )

    assert all(len(str(problem)) < 500 for problem in raised.value.problems)


# --- what a server sends ----------------------------------------------------------------------------------------------


def from_server(**members: Any) -> dict[str, Any]:
    """A minimal spec as a server returns it after it was submitted."""
    return {
        "nodename": "",
        "funcname": "execute",
        "args": [],
        "kwargs": {"cmd": "echo", "docker-image": "busybox"},
        "priority": 0,
        "maxwaittime": 0,
        "maxexectime": -1,
        "maxretries": 0,
        "conditions": {
            "colonyname": "dev",
            "executornames": None,
            "executortype": "container-executor",
            "dependencies": [],
            "nodes": 0,
            "cpu": "0m",
            "processes": 0,
            "processespernode": 0,
            "mem": "0Mi",
            "storage": "0Mi",
            "gpu": {"name": "", "mem": "0Mi", "count": 0, "nodecount": 0},
            "walltime": 0,
        },
        "label": "",
        "fs": {"mount": "", "snapshots": None, "dirs": None},
        "env": {},
        **members,
    }


def test_what_the_server_fills_in_means_missing() -> None:
    parsed = parse(from_server(), strict=False)

    assert parsed.warnings == ()
    assert parsed.spec == read(spec(conditions={"executortype": "container-executor", "colonyname": "dev"}))


def test_the_fields_of_a_newer_server_are_only_warned_of() -> None:
    written = from_server(
        newfield=1, fs={"mount": "/cfs", "dirs": [{"label": "/l", "dir": "/d", "mode": "x"}], "new": 1}
    )
    written["conditions"]["new"] = {"a": 1}

    assert list(warnings(written, strict=False)) == ["newfield", "conditions.new", "fs.new", "fs.dirs[0].mode"]


@pytest.mark.parametrize(("sent", "read"), [(-1, -1), (0, 0), (-2, 0), (80, 80)])
def test_a_maxexectime_at_which_the_server_takes_back_at_once_stays_zero(sent: int, read: int) -> None:
    assert parse(from_server(maxexectime=sent), strict=False).spec.maxexectime == read


def test_negative_limits_of_a_server_are_no_limit() -> None:
    parsed = parse(from_server(maxwaittime=-5, maxretries=-5), strict=False).spec

    assert (parsed.maxwaittime, parsed.maxretries) == (-1, -1)


# --- what is sent to a server -----------------------------------------------------------------------------------------


def test_only_what_the_server_understands_is_sent() -> None:
    written = {
        **with_conditions(**{"processes-per-node": 2, "memory": "1.5GB", "cpu": 2, "location": "kista"}),
        "kwargs": {"image": "docker://busybox", "cmd": "echo", "args": [1, True], "lr": 0.1},
        "fs": {"mount": "/cfs", "snapshots": [{"snapshotid": "s", "label": "/l", "dir": "/d", "keepsnaphot": True}]},
        "env": {"N": 1},
    }

    assert to_wire(parse(written).spec) == {
        "nodename": "",
        "funcname": "execute",
        "args": [],
        "kwargs": {"docker-image": "busybox", "cmd": "echo", "args": ["1", "true"], "lr": 0.1},
        "priority": 0,
        "maxwaittime": -1,
        "maxexectime": -1,
        "maxretries": 0,
        "conditions": {
            "colonyname": "",
            "executornames": [],
            "executortype": "container-executor",
            "locationname": "kista",
            "dependencies": [],
            "nodes": 1,
            "cpu": "2000m",
            "processes": 0,
            "processespernode": 2,
            "mem": "1431Mi",
            "storage": "0Mi",
            "gpu": {"name": "", "mem": "0Mi", "count": 0},
            "walltime": 0,
        },
        "label": "",
        "fs": {
            "mount": "/cfs",
            "snapshots": [{"snapshotid": "s", "label": "/l", "dir": "/d", "keepfiles": False, "keepsnapshot": True}],
            "dirs": [],
        },
        "env": {"N": "1"},
    }


def test_what_is_sent_is_json_and_read_back_the_same() -> None:
    parsed = read(
        spec(args=[], channels=["a"], nodename="n", fs={"mount": "/c", "dirs": [{"label": "/l", "dir": "/d"}]})
    )

    assert parse_text(json.dumps(to_wire(parsed))).spec == parsed


# --- JSON text --------------------------------------------------------------------------------------------------------


def text_problem(text: str | bytes) -> tuple[str, str]:
    with pytest.raises(SpecError) as raised:
        parse_text(text, "echo.json")
    assert len(raised.value.problems) == 1
    return raised.value.problems[0].path, raised.value.problems[0].message


def test_a_missing_comma_is_shown_by_line_and_column() -> None:
    text = '{\n  "funcname": "execute",\n  "kwargs": {\n    "docker-image": "ubuntu:20.04"\n    "cmd": "echo"\n  }\n}'

    assert text_problem(text) == (
        "echo.json, line 5, column 5",
        "is no JSON: expecting ',' delimiter, near '\"cmd\": \"echo\"'",
    )


@pytest.mark.usefixtures("no_garbage")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no JSON: expecting value"),
        ("{", "is no JSON"),
        ("// comment\n{}", "is no JSON"),
        (b'{"funcname": "\xff"}', "is no UTF-8 text: byte 14 is wrong"),
        ("[" * 100_000, "is nested deeper than 100 levels"),
        ('{"a":' * 100_000, "is nested deeper than 100 levels"),
        ('{"nodes": ' + "9" * 10_000 + "}", "has a number of thousands of digits"),
        (" " * (16 * 2**20 + 1), "is larger than 16.0 MiB"),
    ],
)
def test_what_is_no_json_is_one_problem_with_the_name_of_the_file(text: str | bytes, message: str) -> None:
    path, found = text_problem(text)

    assert path.startswith("echo.json")
    assert found.startswith(message)


def test_a_key_that_stands_twice_is_refused_wherever_it_is() -> None:
    text = '{"funcname": "execute", "kwargs": {"cmd": "a", "image": "b", "x": {"y": 1, "y": 1}, "cmd": "a"}, "env": {"A": 1, "A": 2}}'

    with pytest.raises(SpecError) as raised:
        parse_text(text)

    assert {problem.path for problem in raised.value.problems} == {"env.A", "kwargs.cmd", "kwargs.x.y"}
    assert all("stands there more than once" in problem.message for problem in raised.value.problems)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_refused_wherever_it_is(number: str) -> None:
    text = f'{{"funcname": "execute", "maxretries": {number}, "kwargs": {{"cmd": "a", "image": "b", "args": [{number}], "x": [{number}]}}}}'

    with pytest.raises(SpecError) as raised:
        parse_text(text)

    assert {problem.path for problem in raised.value.problems} == {"maxretries", "kwargs.args[0]", "kwargs.x[0]"}


@pytest.mark.parametrize("encode", [str, str.encode, lambda text: b"\xef\xbb\xbf" + text.encode()])
def test_texts_bytes_and_byte_order_marks_are_read(encode: Any) -> None:
    assert parse_text(encode(json.dumps(spec(label="é"), ensure_ascii=False))).spec.label == "é"


def test_a_free_value_that_is_nested_too_deep_is_refused() -> None:
    deep: Any = 1
    for _ in range(200):
        deep = [deep]

    assert next(iter(problems(with_kwargs(x=deep)))).startswith("kwargs.x[0][0]")
    assert "nested deeper than 100 levels" in next(iter(problems(spec(funcname="f", args=[deep])).values()))


@pytest.mark.parametrize("value", [float("nan"), 10**30, "half \ud800", {1: 2}, b"bytes", 2**53 + 1])
def test_a_free_value_that_a_server_cannot_keep_is_refused(value: object) -> None:
    assert list(problems(with_kwargs(x=value))) == ["kwargs.x"]
    assert list(problems(spec(funcname="f", args=[1, value]))) == ["args[1]"]


def test_a_whole_number_that_the_server_has_rounded_is_only_warned_of() -> None:
    assert list(warnings(with_kwargs(x=2**60), strict=False)) == ["kwargs.x"]


def test_the_first_spec_of_the_kubernetes_executor_reads_as_its_documentation_says() -> None:
    parsed = parse_text((Path(__file__).parents[1] / "examples" / "specs" / "hello_2x2.json").read_bytes())

    assert (parsed.spec.conditions.nodes, parsed.spec.conditions.processes_per_node) == (2, 2)
    assert (parsed.spec.conditions.memory, parsed.spec.conditions.cpu) == (2**30, 500)
    assert (parsed.spec.walltime, parsed.spec.maxexectime) == (timedelta(seconds=90), 80)
    assert (parsed.spec.cmd, parsed.spec.args) == ("echo", ("Hello, World!",))
    assert parsed.warnings == ()
