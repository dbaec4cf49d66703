"""From cmd, args and init-cmd to what a program really gets, each case run by real shells."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from container_executor.errors import SpecError
from container_executor.funcspec import (
    Conditions,
    DirSync,
    Filesystem,
    FunctionSpec,
    Gpu,
    SnapshotMount,
    make_job,
    substitute,
)
from container_executor.funcspec.job import is_program, make_argv
from container_executor.models import Mark, Mount
from container_executor.wrapper import wrap

MARK = Mark(owner="0123456789abcdef", colony="dev", process_id="ab" * 32)
SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]

TORTURE = (
    "a b",
    "c;d",
    "",
    "  lead and trail  ",
    "it's",
    'say "hi"',
    "$HOME",
    "$(id)",
    "`id`",
    "a\\d+",
    "C:\\temp",
    "new\nline",
    "tab\there",
    "*",
    "?",
    "~",
    "#no comment",
    "&& rm -rf /",
    "-rf",
    "--",
    "=",
    "%s",
    "!!",
    "{a,b}",
    "é ü 漢字 🚀",
    '{"json": ["a", 1]}',
    "'\"'\"'",
    "\\",
    "end\\",
)


@pytest.fixture
def show(tmp_path: Path) -> str:
    """A program that prints each of its arguments, ended by a NUL."""
    program = tmp_path / "show"
    program.write_text(
        f'#!{sys.executable} -S\nimport os, sys\nsys.stdout.buffer.write(b"".join(os.fsencode(a) + b"\\0" for a in sys.argv[1:]))\n'
    )
    program.chmod(0o755)
    return str(program)


@pytest.fixture(params=SHELLS)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run an argument list with ``sh`` being each of the shells of this machine, under the wrapper as an image would."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / "sh").symlink_to(str(shutil.which(request.param)))
    env = {**os.environ, "PATH": f"{place}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}

    def runner(argv: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(wrap(argv), env=env, cwd=tmp_path, capture_output=True, timeout=30, check=False)

    return runner


Runner = Callable[[Sequence[str]], "subprocess.CompletedProcess[bytes]"]

# cmd (SHOW is the program that prints its arguments), args, the arguments that arrive
ARRIVALS = [
    pytest.param("SHOW", TORTURE, TORTURE, id="program with torture args"),
    pytest.param("SHOW", (), (), id="program without args"),
    pytest.param("SHOW", ("",), (), id="one empty arg alone means none"),
    pytest.param("SHOW", ("", ""), ("", ""), id="two empty args are two"),
    pytest.param("  SHOW\n", ("a b",), ("a b",), id="space around a program"),
    pytest.param("SHOW x", (), ("x",), id="several words, no args"),
    pytest.param("SHOW x", TORTURE, ("x", *TORTURE), id="args are appended to a plain line"),
    pytest.param("SHOW 'x y'\n", ("z",), ("x y", "z"), id="line with a newline at its end"),
    pytest.param("SHOW x", ("",), ("x",), id="one empty arg alone means none for a line too"),
    pytest.param('SHOW "$2" "$1"', ("a b", "c;d"), ("c;d", "a b"), id="args by number"),
    pytest.param('SHOW "$@" end', TORTURE, (*TORTURE, "end"), id="all args in the middle"),
    pytest.param('SHOW "${2}"', ("a", "b c"), ("b c",), id="args by number in braces"),
    pytest.param('SHOW "$*"', ("a", "b  c"), ("a b  c",), id="all args as one"),
    pytest.param('for x; do SHOW "$x"; done', ("a b", "c"), ("a b", "c"), id="a loop over the args"),
    pytest.param('while [ $# -gt 0 ]; do SHOW "$1"; shift; done', ("a b", "c"), ("a b", "c"), id="a loop with shift"),
    pytest.param("true && SHOW", ("a b",), ("a b",), id="args go to the last command"),
    pytest.param("echo x | SHOW", ("a b",), ("a b",), id="args go to the end of the pipe"),
    pytest.param("A='b c' SHOW", ("$A",), ("$A",), id="args are not expanded"),
    pytest.param('A="b c"; SHOW "$A"', (), ("b c",), id="variables of the line"),
    pytest.param("SHOW $(echo a b) `echo c` $((1 + 1))", (), ("a", "b", "c", "2"), id="substitutions"),
    pytest.param("SHOW 'a;b' \"c|d\" e\\&f", (), ("a;b", "c|d", "e&f"), id="quotes"),
    pytest.param("SHOW a # comment", (), ("a",), id="comment"),
    pytest.param("SHOW a\nSHOW b\n", (), ("a", "b"), id="two lines"),
    pytest.param('set -e\nSHOW "$1"\n', ("a b",), ("a b",), id="two lines that refer to the args"),
    pytest.param('cat > f <<EOF\nit\'s $1\nEOF\nSHOW "$(cat f)"', ("x y",), ("it's x y",), id="here-document"),
    pytest.param(
        "cat > f <<EOF\nit's $1, isn't it\nEOF\nSHOW \"$(cat f)\"",
        ("x",),
        ("it's x, isn't it",),
        id="quotes in a here-document",
    ),
    pytest.param("# it's so\nSHOW \"$1\" # isn't it", ("x y",), ("x y",), id="quotes in comments"),
    pytest.param("SHOW undone", ("a",), ("undone", "a"), id="a word that only ends like done"),
    pytest.param("SHOW ./wifi", ("a",), ("./wifi", "a"), id="a word that only ends like fi"),
    pytest.param("SHOW ~", (), (str(Path.home()),), id="tilde"),
    pytest.param("SHOW é", ("漢 字",), ("é", "漢 字"), id="unicode line"),
    pytest.param("if SHOW a; then SHOW b; fi", (), ("a", "b"), id="if"),
    pytest.param("( cd / && SHOW x ) && { SHOW y; }", (), ("x", "y"), id="groups"),
]


@pytest.mark.parametrize(("cmd", "args", "arrived"), ARRIVALS)
def test_every_byte_of_the_arguments_arrives(
    cmd: str, args: tuple[str, ...], arrived: tuple[str, ...], show: str, run: Runner
) -> None:
    result = run(make_argv(cmd.replace("SHOW", show), args))

    assert result.stderr == b""
    assert result.returncode == 0
    assert [os.fsdecode(word) for word in result.stdout.split(b"\0")[:-1]] == list(arrived)


@pytest.mark.parametrize(("cmd", "args", "arrived"), ARRIVALS)
def test_an_init_command_changes_nothing_about_the_arguments(
    cmd: str, args: tuple[str, ...], arrived: tuple[str, ...], show: str, run: Runner
) -> None:
    result = run(make_argv(cmd.replace("SHOW", show), args, 'HELD="a b"; test "$HELD" = "a b"'))

    assert result.returncode == 0, result.stderr
    assert [os.fsdecode(word) for word in result.stdout.split(b"\0")[:-1]] == list(arrived)


@pytest.mark.parametrize(
    "cmd",
    [
        "echo a;",
        "sleep 1 &",
        "echo a # why",
        "echo a#b",
        "for i in 1 2; do echo $i; done",
        "if true; then echo a; fi",
        "case a in a) echo a;; esac",
        "{ echo a; }",
        "(echo a)",
        "echo a\necho b",
        "cat <<EOF\na\nEOF",
        "cat <<< a",
        "echo a\\",
        "awk '{print $1}'",
        "echo \\$1 | awk '{print $2}'",
        "echo ${HOME}",
    ],
)
def test_args_that_a_line_does_not_refer_to_are_refused(cmd: str) -> None:
    with pytest.raises(SpecError) as raised:
        make_argv(cmd, ("lost",))

    assert [problem.path for problem in raised.value.problems] == ["kwargs.args"]
    assert 'put "$@" into cmd' in str(raised.value)
    assert make_argv(cmd, ("",)) == make_argv(cmd, ())


@pytest.mark.parametrize("cmd", ["", "  ", "\n"])
def test_no_command_is_refused(cmd: str) -> None:
    with pytest.raises(SpecError, match=r"kwargs\.cmd: missing"):
        make_argv(cmd, ("a",))


@pytest.mark.parametrize("char", list("|&;<>()$`\\\"'*?[]#~=%!{} \t\n"))
def test_a_word_with_a_character_of_the_shell_is_a_line(char: str) -> None:
    assert not is_program(f"a{char}b")


@pytest.mark.parametrize("cmd", ["echo", "/usr/bin/python3.11", "./run.sh", "a-b_c+d,e:f@g^h", "échö"])
def test_a_plain_word_is_a_program_that_no_shell_sees(cmd: str) -> None:
    assert make_argv(cmd, ("a", "b")) == (cmd, "a", "b")


def test_init_runs_first_in_the_same_shell(tmp_path: Path, run: Runner) -> None:
    (tmp_path / "sub").mkdir()

    program = run(make_argv("env", (), "cd sub\nexport A='b c'"))
    line = run(make_argv("pwd; echo $A", (), "cd sub; A='b c'"))

    assert b"A=b c\n" in program.stdout
    assert b"PWD=" + os.fsencode(tmp_path / "sub") + b"\n" in program.stdout
    assert line.stdout == os.fsencode(tmp_path / "sub") + b"\nb c\n"


@pytest.mark.parametrize("cmd", ["echo", "echo a; echo b"])
@pytest.mark.parametrize(
    ("init", "code"), [("false", 1), ("sh -c 'exit 42'", 42), ("exit 7", 7), ("true\nno-such-program", 127)]
)
def test_a_failed_init_ends_the_job_with_its_code(cmd: str, init: str, code: int, run: Runner) -> None:
    result = run(make_argv(cmd, (), init))

    assert (result.returncode, result.stdout) == (code, b"")


def test_set_e_in_init_carries_over(run: Runner) -> None:
    result = run(make_argv("false; echo reached", (), "set -e"))

    assert (result.returncode, result.stdout) == (1, b"")


@pytest.mark.parametrize("code", [0, 1, 2, 3, 42, 126, 127, 128, 137, 143, 255])
def test_exit_codes_come_out_as_they_are(code: int, run: Runner) -> None:
    assert run(make_argv(f"true; exit {code}", ())).returncode == code
    assert run(make_argv("sh", ("-c", f"exit {code}"))).returncode == code


def test_shell_features_work_in_a_line(tmp_path: Path, run: Runner) -> None:
    result = run(make_argv("echo 'Hello, World!' > out && (printf 'b\\na\\n' | sort) >> out; cat out 2>&1 || true", ()))

    assert result.stdout == b"Hello, World!\na\nb\n"


def test_a_line_that_gets_term_waits_for_the_checkpoint_of_its_child(tmp_path: Path, show: str) -> None:
    child = tmp_path / "child"
    child.write_text(
        f"#!{sys.executable}\nimport signal, sys, time\n"
        "def stop(*_):\n    time.sleep(0.3)\n    open('checkpoint', 'w').close()\n    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\nopen('ready', 'w').close()\ntime.sleep(60)\n"
    )
    child.chmod(0o755)
    with subprocess.Popen(make_argv(f"{child}; echo never", ()), cwd=tmp_path, start_new_session=True) as shell:
        deadline = time.monotonic() + 20
        while not (tmp_path / "ready").exists():
            assert time.monotonic() < deadline, "the child did not start"
            time.sleep(0.02)
        os.killpg(shell.pid, signal.SIGTERM)
        code = shell.wait(20)

    assert code == 143
    assert (tmp_path / "checkpoint").exists()


def test_a_job_has_everything_the_spec_says() -> None:
    spec = FunctionSpec(
        funcname="execute",
        image="busybox",
        cmd="train",
        args=("--out", "/cfs/{processid}"),
        env={"OUT": "/cfs/{processid}"},
        rebuild_image=True,
        maxexectime=80,
        conditions=Conditions(nodes=2, processes_per_node=3, cpu=500, memory=2**30, gpu=Gpu(count=4, name="a100")),
    )
    mount = Mount(source="/data/x", target="/cfs/x")

    job = make_job(spec, MARK, grace=timedelta(seconds=3), input=[1, {"a": "é"}], mounts=[mount])

    assert job.mark == MARK
    assert (job.image, job.pull) == ("busybox", True)
    assert job.argv == ("train", "--out", f"/cfs/{MARK.process_id}")
    assert job.env == {"OUT": f"/cfs/{MARK.process_id}"}
    assert (job.nodes, job.processes_per_node, job.ranks) == (2, 3, 6)
    assert (job.cpu, job.memory, job.gpus, job.gpu_name) == (500, 2**30, 4, "a100")
    assert (job.walltime, job.grace) == (timedelta(seconds=80), timedelta(seconds=3))
    assert job.mounts == (mount,)
    assert json.loads(job.input) == [1, {"a": "é"}]


def test_a_job_without_parents_has_no_input() -> None:
    assert make_job(FunctionSpec("execute", image="busybox", cmd="true"), MARK).input == ""


@pytest.mark.parametrize(
    ("walltime", "maxexectime", "effective"),
    [(90, 80, 90), (10, 80, 10), (80, 80, 80), (None, 80, 80), (90, -1, 90), (None, -1, None), (None, 0, None)],
)
def test_a_missing_walltime_means_maxexectime(walltime: int | None, maxexectime: int, effective: int | None) -> None:
    conditions = Conditions(walltime=None if walltime is None else timedelta(seconds=walltime))
    job = make_job(
        FunctionSpec("execute", image="busybox", cmd="true", conditions=conditions, maxexectime=maxexectime), MARK
    )

    assert job.walltime == (None if effective is None else timedelta(seconds=effective))


def test_the_process_id_is_filled_in_everywhere_a_user_may_write_it() -> None:
    text = "x{processid}y{processid}"
    spec = FunctionSpec(
        funcname="execute",
        image="busybox",
        cmd=text,
        args=(text, "plain"),
        init_cmd=text,
        env={"A": text},
        label="{processid}",
        fs=Filesystem(text, (DirSync(text, text),), (SnapshotMount("{processid}", text, text),)),
    )

    filled = substitute(spec, "7")

    assert filled == attrs.evolve(
        spec,
        cmd="x7y7",
        args=("x7y7", "plain"),
        init_cmd="x7y7",
        env={"A": "x7y7"},
        fs=Filesystem("x7y7", (DirSync("x7y7", "x7y7"),), (SnapshotMount("{processid}", "x7y7", "x7y7"),)),
    )
    assert substitute(filled, "8") == filled


def test_the_command_rule_applies_after_the_process_id_is_filled_in() -> None:
    spec = FunctionSpec("execute", image="busybox", cmd="/cfs/{processid}/run.sh", args=("a b",))

    assert make_job(spec, MARK).argv == (f"/cfs/{MARK.process_id}/run.sh", "a b")
    assert make_job(attrs.evolve(spec, cmd="{processid}", args=("",)), MARK).argv == (MARK.process_id,)


def test_equal_specs_make_equal_jobs() -> None:
    spec = FunctionSpec("execute", image="busybox", cmd="echo a", args=("b",), init_cmd="cd /", env={"A": "b"})

    assert make_job(spec, MARK, input=[1]) == make_job(attrs.evolve(spec), MARK, input=[1])
