"""What Slurm 24.11 and its commands printed, and what is made of it."""

import pytest
from container_executor_slurm.commands import (
    Commands,
    cancel_argvs,
    parse_history,
    parse_queue,
    parse_submit,
    queue_argv,
    refusal,
)
from container_executor_slurm.partition import parse_capacity, parse_limit, parse_total
from container_executor_slurm.records import parse_done, parse_exit, parse_srun
from container_executor_slurm.script import decode_mark, encode_mark
from container_executor_slurm.states import SlurmState

from container_executor.errors import UnavailableError
from container_executor.models import Capacity, FailureClass, JobState, Mark

SQUEUE = (
    "123|COMPLETED|None|ce-16d74fd0-152a55a1fb249100-0-1|owner=16d74fd0b58e36bc&colony=dev&process_id=152a55a1fb249100ba614"
    "c2a604c43ec4c374db93142d06083756187b27da944&attempt=0&launch=1\n"
    "124|PENDING|ReqNodeNotAvail, UnavailableNodes:n2|ce-16d74fd0-8232bacfd541d8bb-0-1|(null)\n"
    "125|RUNNING|None|somebody|a|b|c\n"
    "slurm_load_jobs error: something\n"
)

REFUSED = "sbatch: error: Batch job submission failed:"
NO_NODE = "Requested node configuration is not available"
NO_QUOTA = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"


def test_squeue_gives_the_state_the_reason_and_the_mark_of_each_job() -> None:
    states = parse_queue(SQUEUE)

    assert list(states) == ["123", "124", "125"]
    assert (states["123"].word, states["123"].reason) == ("COMPLETED", "")
    assert states["124"].reason == "ReqNodeNotAvail, UnavailableNodes:n2"
    assert states["125"].comment == "a|b|c", "a comment may have bars: it comes last"
    mark = decode_mark(states["123"].comment)
    assert mark is not None
    assert mark.job_id == states["123"].name
    assert decode_mark(states["124"].comment) is None


def test_sacct_tells_who_cancelled_and_what_goes_on() -> None:
    states = parse_history("7|CANCELLED by 1000|0:0|ce-a\n8|RUNNING+|0:0|ce-b\n9|FAILED|0:53|ce-c\n10||0:0|ce-d\n")

    assert {number: state.word for number, state in states.items()} == {
        "7": "CANCELLED",
        "8": "RUNNING",
        "9": "FAILED",
        "10": "",
    }
    assert states["9"].words() == "Slurm says FAILED 0:53"


def test_an_empty_answer_has_no_jobs() -> None:
    assert parse_queue("") == parse_history("") == {}


@pytest.mark.parametrize(
    ("printed", "number"),
    [
        ("152\n", "152"),
        ("152;rig\n", "152"),
        ("sbatch: a site's greeting\n153\n", "153"),
        ("", ""),
        ("Submitted batch job\n", ""),
    ],
)
def test_the_number_of_a_new_job_is_the_last_line_of_sbatch(printed: str, number: str) -> None:
    assert parse_submit(printed) == number


@pytest.mark.parametrize(
    ("words", "failure"),
    [
        (f"{REFUSED} {NO_NODE}", "unschedulable"),
        (f"sbatch: error: Memory specification can not be satisfied\n{REFUSED} {NO_NODE}", "unschedulable"),
        (f"{REFUSED} {NO_QUOTA}", "quota"),
        (f"{REFUSED} Invalid partition name specified", ""),
        (f"{REFUSED} Unspecified error", ""),
    ],
)
def test_the_words_of_a_refusal_give_its_class(words: str, failure: str) -> None:
    assert refusal(words) == failure


@pytest.mark.parametrize(
    ("words", "failure"),
    [
        ("PENDING|Resources", None),
        ("PENDING|Priority", None),
        ("PENDING|BeginTime", None),
        ("PENDING|PartitionTimeLimit", FailureClass.UNSCHEDULABLE),
        ("PENDING|QOSMaxJobsPerUserLimit", FailureClass.QUOTA),
        ("PENDING|AssocGrpCpuLimit", FailureClass.QUOTA),
    ],
)
def test_why_a_job_waits_is_told_where_waiting_does_not_help(words: str, failure: FailureClass | None) -> None:
    state = SlurmState(*words.split("|"))

    assert (state.live, state.failure) == (JobState.PENDING, failure)


def test_a_state_that_nobody_knows_is_no_end_and_says_so() -> None:
    state = SlurmState("HIBERNATING")

    assert (state.ended, state.waits) == (False, False)
    assert state.live is JobState.RUNNING
    assert "HIBERNATING, a state that this version does not know" in state.words()


def test_completing_is_no_end() -> None:
    assert not SlurmState("COMPLETING").ended


def test_free_capacity_is_what_usable_nodes_have_left() -> None:
    printed = (
        "n1        12/4/0/16          8000      6000      gpu:2       gpu:1(IDX:0)\n"
        "n2        0/16/0/16          8000      0         gpu:a100:2(S:0),nvme:1   gpu:a100:0\n"
        "n2        0/16/0/16          8000      0         gpu:a100:2(S:0),nvme:1   gpu:a100:0\n"
    )

    assert parse_capacity(printed) == Capacity(cpu=20_000, memory=10_000 * 2**20, gpus=3)
    assert parse_capacity("") == Capacity(cpu=0, memory=0, gpus=0)
    assert parse_total(printed) == Capacity(cpu=32_000, memory=16_000 * 2**20, gpus=4)


@pytest.mark.parametrize(
    ("printed", "partition", "minutes"),
    [
        ("batch* 7-00:00:00\nbrief 2:00\n", "", 7 * 24 * 60),
        ("batch* 7-00:00:00\nbrief 2:00\n", "brief", 2),
        ("batch* infinite\n", "", None),
        ("batch* 1:30:00\n", "batch", 90),
        ("", "", None),
    ],
)
def test_the_time_limit_of_a_partition_is_in_whole_minutes(printed: str, partition: str, minutes: int | None) -> None:
    assert parse_limit(printed, partition) == minutes


def test_sruns_words_are_read_for_each_rank() -> None:
    printed = (
        "slurmstepd: error: *** STEP 5.0 ON n1 CANCELLED AT 2026-11-21T10:00:00 ***\n"
        "srun: error: n2: task 2: Exited with exit code 3\n"
        "srun: error: n[1-2]: tasks 0-1,3: Killed\n"
        "srun: error: n1: task 4: Out Of Memory\n"
    )

    words = parse_srun(printed)

    assert words == {2: "Exited with exit code 3", 0: "Killed", 1: "Killed", 3: "Killed", 4: "Out Of Memory"}


def test_records_are_read_as_the_script_writes_them() -> None:
    record = parse_exit("code=143\nbegan=1763737328123\nended=1763737329000\nnode=n2\ncause=\nterm=1\n")
    done = parse_done("code=143\nreason=signalled\nended=1763737329500\n")

    assert record is not None
    assert done is not None
    assert (record.code, record.node, record.cause, record.signalled) == (143, "n2", "", True)
    assert record.began is not None
    assert record.began.microsecond == 123_000
    assert (done.code, done.reason) == (143, "signalled")


@pytest.mark.parametrize("text", ["", "code=1", "code=143\nbegan=17637", "code=\nreason=\nended=\n", "\0\0\0"])
def test_a_record_that_was_cut_is_none(text: str) -> None:
    assert parse_exit(text) is None
    assert parse_done(text) is None


def test_any_colony_comes_back_from_a_comment() -> None:
    mark = Mark(
        owner="0123456789abcdef", colony="a colony/ö, 'q' \"d\" | = &", process_id="ab" * 32, attempt=3, launch=2
    )

    comment = encode_mark(mark)

    assert decode_mark(comment) == mark
    assert not set(comment) & set("|\"' ,"), "characters that Slurm's own output does not escape"


def test_one_question_asks_about_many_jobs() -> None:
    assert queue_argv(["3", "1"])[-1] == "--jobs=1,3"


def test_a_job_that_waits_and_its_ranks_are_signalled() -> None:
    assert cancel_argvs("7", force=True) == [
        ["scancel", "--state=PENDING", "7"],
        ["scancel", "--signal=KILL", "7.0"],
    ]


def test_a_command_that_is_not_there_is_an_engine_that_does_not_answer() -> None:
    with pytest.raises(UnavailableError, match="no-such-command"):
        Commands().run(["no-such-command-of-slurm"])
