"""The script that a job becomes: what it asks of Slurm, and that a user's text stays text."""

import shlex
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from container_executor_slurm import SlurmBackend
from container_executor_slurm.script import deadline_line, minutes

from container_executor.errors import UnsupportedError
from container_executor.models import JobSpec, Mark, Mount

MARK = Mark(owner="0123456789abcdef", colony="dev", process_id="ab" * 32)
JOB = JobSpec(image="/images/busybox.sif", argv=("echo", "it's"), mark=MARK)


def script(job: JobSpec = JOB, **settings: Any) -> str:
    known: Mapping[str, Any] = {"owner": MARK.owner, "shared": Path("/shared"), "image_roots": (Path("/images"),)}
    return SlurmBackend(**{**known, **settings}).plan(job).render()


def options(text: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH ")]


def array(text: str, name: str) -> list[str]:
    """Return the words of an array as bash reads them."""
    command = f'{text[: text.index("ce_variables()")]}\nprintf "%s\\0" "${{{name}[@]}}"'
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True, timeout=30)
    return done.stdout.decode().split("\0")[:-1]


def test_a_job_asks_for_what_its_ranks_need() -> None:
    job = attrs.evolve(JOB, nodes=2, processes_per_node=3, cpu=1500, memory=2**30 + 1)

    asked = options(script(job, partition="long", account="me", options=("--constraint=ib",)))

    for option in (
        "--nodes=2",
        "--ntasks=6",
        "--ntasks-per-node=3",
        "--cpus-per-task=2",
        "--mem=3073M",
        "--partition=long",
        "--account=me",
        "--constraint=ib",
        "--no-requeue",
        f"--job-name={JOB.job_id}",
    ):
        assert option in asked
    assert not [option for option in asked if option.startswith(("--time", "--deadline", "--qos"))]


def test_a_job_that_asks_for_no_memory_does_not_get_the_whole_node() -> None:
    assert not [option for option in options(script()) if option.startswith("--mem")]


def test_gpus_are_asked_for_as_the_site_says_by_name() -> None:
    site = {"gpu_options": {"A100": "--partition=a100 --gres=gpu:a100:{node_gpus}"}}
    job = attrs.evolve(JOB, gpus=2, processes_per_node=2)

    assert "--gpus-per-task=2" in options(script(job, **site))
    named = script(attrs.evolve(job, gpu_name="A100"), **site)
    assert "--gres=gpu:a100:4" in options(named)
    assert "--nv" in array(named, "ce_apptainer")
    with pytest.raises(UnsupportedError, match=r"no GPU 'H100'; it has: A100"):
        script(attrs.evolve(job, gpu_name="H100"), **site)


def test_a_site_may_let_slurm_know_its_gpus_by_name() -> None:
    job = attrs.evolve(JOB, gpus=1, processes_per_node=2)

    text = script(attrs.evolve(job, gpu_name="mi250"), gres=True, rocm=True)

    assert "--gres=gpu:mi250:2" in options(text)
    assert "--rocm" in array(text, "ce_apptainer")
    assert "--gres=gpu:2" in options(script(job, gres=True))
    for name in ("a --account=other", "x{0}", "a\n#SBATCH --nodes=9"):
        with pytest.raises(UnsupportedError, match="must consist of letters"):
            script(attrs.evolve(job, gpu_name=name), gres=True)


def test_users_text_is_one_word_each_and_no_line_of_the_script_is_theirs() -> None:
    argv = ("echo", "$(touch /tmp/x) `id`", 'it\'s "q"\n#SBATCH --nodes=9', "é\\")
    mounts = (Mount("/data/a b", "/in, out", read_only=True), Mount('/data/"q"', "/q"))

    text = script(attrs.evolve(JOB, argv=argv, mounts=mounts))

    assert array(text, "ce_command")[-len(argv) :] == [*argv]
    assert '"type=bind","source=/data/a b","destination=/in, out","ro"' in array(text, "ce_apptainer")
    assert '"type=bind","source=/data/""q""","destination=/q"' in array(text, "ce_apptainer")
    first = next(number for number, line in enumerate(text.splitlines()) if line and not line.startswith("#"))
    assert "--nodes=9" not in "\n".join(text.splitlines()[:first]), "Slurm reads options up to the first command"


def test_variables_are_exported_for_the_container_alone() -> None:
    value = "it's $HOME"

    text = script(attrs.evolve(JOB, env={"PATH": "/mine", "NAME": value}))

    assert "export APPTAINERENV_PATH=/mine" in text
    assert f"export APPTAINERENV_NAME={shlex.quote(value)}" in text
    assert "export APPTAINERENV_MASTER_PORT=$CE_PORT" in text
    assert "export SINGULARITYENV_PATH=/mine" in script(
        attrs.evolve(JOB, env={"PATH": "/mine"}), apptainer="/opt/bin/singularity"
    )


def test_containers_are_shut_in() -> None:
    assert {"--containall", "--cleanenv", "--no-eval", "--no-init"} <= {*array(script(), "ce_apptainer")}


def test_modules_and_prologue_run_before_anything_of_ours() -> None:
    text = script(modules=("PDC", "apptainer/1.4"), prologue="umask 027\n")

    assert "\nmodule load PDC apptainer/1.4\numask 027\nce_job=" in text


def test_bash_reads_the_script() -> None:
    checked = subprocess.run(["bash", "-n"], input=script(), text=True, capture_output=True, check=False, timeout=30)

    assert (checked.returncode, checked.stderr) == (0, "")


def test_what_no_shell_can_export_is_refused_with_its_path() -> None:
    with pytest.raises(UnsupportedError) as refused:
        script(attrs.evolve(JOB, env={"my-name": "1", "fine": "2"}))

    assert [problem.path for problem in refused.value.problems] == ["env.my-name"]


def test_a_shared_directory_with_spaces_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="must consist of letters"):
        script(shared=Path("/home/a b"))


@pytest.mark.parametrize(
    ("walltime", "lifetime", "longest", "asked"),
    [
        (None, None, None, None),
        (timedelta(seconds=20), None, None, 2),
        (timedelta(minutes=10), timedelta(hours=1), None, 12),
        (timedelta(hours=1), timedelta(minutes=10), None, 12),
        (timedelta(minutes=10), None, 11, 11),
        (None, timedelta(days=7), None, 7 * 24 * 60 + 2),
    ],
)
def test_slurms_own_limit_lies_above_ours_and_within_the_partitions(
    walltime: timedelta | None, lifetime: timedelta | None, longest: int | None, asked: int | None
) -> None:
    assert minutes(attrs.evolve(JOB, walltime=walltime), lifetime, longest) == asked


def test_the_end_of_a_job_is_an_absolute_time() -> None:
    assert deadline_line(timedelta(seconds=60), timedelta(seconds=10), 1000.5) == "1050500 1060500\n"
    assert deadline_line(None, timedelta(seconds=10), 1000.5) is None
