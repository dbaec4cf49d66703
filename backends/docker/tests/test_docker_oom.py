"""What a container finds of the kernel's count at its end, on hosts with control groups v1 and v2."""

import subprocess
from pathlib import Path

import pytest
from container_executor_docker.oom import NOTES, with_note
from container_executor_docker.paths import EXCHANGE

V1, V2 = "memory/memory.oom_control", "memory.events"
OWN_V1, OWN_V2, NOT_ROOT = "4:memory:/docker/01\n", "0::/\n", "0::/../02\n"


@pytest.mark.parametrize(
    ("group", "file", "count", "noted"),
    [
        pytest.param(OWN_V1, V1, "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", "3\n", id="v1"),
        pytest.param(OWN_V1, V1, "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", "", id="v1, none"),
        pytest.param(OWN_V2, V2, "max 9\noom 1\noom_kill 1\noom_group_kill 0\n", "3\n", id="v2"),
        pytest.param(OWN_V2, V2, "max 9\noom 0\noom_kill 0\noom_group_kill 0\n", "", id="v2, none"),
        pytest.param(NOT_ROOT, V2, "oom_kill 7\n", "", id="the deaths of others"),
        pytest.param(OWN_V2, "elsewhere", "oom_kill 1\n", "", id="no count"),
    ],
)
def test_a_kill_is_noted_and_changes_nothing_else(
    tmp_path: Path, group: str, file: str, count: str, noted: str
) -> None:
    (tmp_path / "group").write_text(group)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(count)
    script = with_note("echo printed; exit 5", 3)
    for place, here in ((EXCHANGE, tmp_path), ("/sys/fs/cgroup", tmp_path), ("/proc/self/cgroup", tmp_path / "group")):
        assert place in script
        script = script.replace(place, str(here))

    ended = subprocess.run(["sh", "-c", script], check=False, capture_output=True, text=True, timeout=60)

    assert (ended.returncode, ended.stdout, ended.stderr) == (5, "printed\n", "")
    notes = tmp_path / NOTES
    assert (notes.read_text() if notes.exists() else "") == noted
