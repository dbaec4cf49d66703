"""What a container may use and what it is denied, as its program and the engine see it; each relaxed by the site alone."""

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from container_executor_docker import DockerBackend
from container_executor_docker.gpus import choose, taken_gpus
from container_executor_docker.settings import GpuDriver
from docker_support import MakeBackend, MakeJob

from container_executor.errors import UnavailableError, UnsupportedError
from container_executor.execute.library import run_job
from container_executor.models import JobSpec, Mount
from container_executor.testing.bench import wait_for

pytestmark = pytest.mark.engine("docker")

PATIENCE = timedelta(seconds=60)
MI = 2**20


def printed(backend: DockerBackend, job: JobSpec) -> list[str]:
    """Return the lines that a job printed; it must succeed."""
    lines: list[str] = []
    outcome = run_job(backend, job, on_log=lambda line: lines.append(line.data.decode()), lifetime=PATIENCE)
    assert outcome.succeeded, (outcome, lines)
    return lines


def body(backend: DockerBackend, job: JobSpec) -> Mapping[str, Any]:
    """Return the create body of a job's first rank."""
    found: Mapping[str, Any] = backend.plan(job).request["containers"][0]["body"]
    return found


def host(backend: DockerBackend, job: JobSpec) -> Mapping[str, Any]:
    found: Mapping[str, Any] = body(backend, job)["HostConfig"]
    return found


# --- resources --------------------------------------------------------------------------------------------------------


def test_a_rank_has_exactly_what_its_spec_asks_for(api: Any, backend: DockerBackend, make_job: MakeJob) -> None:
    handle = backend.submit(backend.plan(make_job("sleep 60", cpu=500, memory=48 * MI)), lifetime=PATIENCE)

    limits = api.inspect_container(handle.job_id)["HostConfig"]

    assert limits["NanoCpus"] == 500_000_000
    assert limits["Memory"] == limits["MemorySwap"] == 48 * MI, "memory and swap together: no swap"
    assert limits["PidsLimit"] == 4096
    assert limits["ShmSize"] == 64 * MI
    assert limits["LogConfig"]["Config"]["max-size"] == str(512 * MI)


def test_the_program_finds_those_limits(backend: DockerBackend, make_job: MakeJob) -> None:
    line = (
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null;"
        "df -k /dev/shm /tmp $HOME | awk 'NR > 1 {print $2}'; ulimit -c"
    )

    memory, *sizes, core = printed(backend, make_job(line, memory=48 * MI))

    assert int(memory) == 48 * MI
    assert [int(size) for size in sizes] == [64 * 1024, 1024 * 1024, 1024 * 1024]
    assert core == "0"


def test_a_site_sets_its_own_limits(make_backend: MakeBackend, make_job: MakeJob) -> None:
    backend = make_backend(
        pids=50, shm_size=8 * MI, tmp_size=4 * MI, swap=16 * MI, log_size=2 * MI, ulimits={"nofile": "100:200"}
    )
    job = make_job("ulimit -n; ulimit -H -n; df -k /dev/shm /tmp | awk 'NR > 1 {print $2}'", memory=48 * MI)

    assert printed(backend, job) == ["100", "200", "8192", "4096"]
    limits = host(backend, job)
    assert (limits["PidsLimit"], limits["MemorySwap"]) == (50, 64 * MI)
    assert limits["LogConfig"]["Config"]["max-size"] == str(MI)


def test_a_program_that_forks_without_end_stops_at_its_bound(make_backend: MakeBackend, make_job: MakeJob) -> None:
    backend = make_backend(pids=20)
    line = "i=0; while [ $i -lt 40 ]; do sleep 3 & i=$((i + 1)); done 2>/dev/null; echo $i"

    outcome = run_job(backend, make_job(line), lifetime=PATIENCE)

    assert not outcome.succeeded


def test_output_beyond_what_the_engine_keeps_ends_nothing_and_its_end_arrives(
    make_backend: MakeBackend, make_job: MakeJob
) -> None:
    backend = make_backend(log_size=64 * 1024)
    lines: list[bytes] = []

    outcome = run_job(backend, make_job("seq 1 50000"), on_log=lambda line: lines.append(line.data), lifetime=PATIENCE)

    assert outcome.succeeded
    assert lines[-1] == b"50000"


# --- isolation --------------------------------------------------------------------------------------------------------


def test_a_program_is_nobody_and_may_nothing(backend: DockerBackend, make_job: MakeJob) -> None:
    line = (
        "id -u; id -g; grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t';"
        "touch /file 2>/dev/null || echo read-only; mount -t tmpfs x /mnt 2>/dev/null || echo no mounts;"
        'touch /tmp/file "$HOME/file" && echo room; ls /run/docker.sock /var/run/docker.sock 2>/dev/null || echo no socket'
    )
    uid, gid = (str(number) if os.geteuid() else "65534" for number in (os.geteuid(), os.getegid()))

    assert printed(backend, make_job(line)) == [
        uid,
        gid,
        "CapBnd:0000000000000000",
        "CapEff:0000000000000000",
        "NoNewPrivs:1",
        "Seccomp:2",
        "read-only",
        "no mounts",
        "room",
        "no socket",
    ] or sorted(printed(backend, make_job(line))[2:6]) == [
        "CapBnd:0000000000000000",
        "CapEff:0000000000000000",
        "NoNewPrivs:1",
        "Seccomp:2",
    ]


def test_a_job_sees_no_other_job_s_files(backend: DockerBackend, make_job: MakeJob, tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    for folder in (mine, other):
        folder.mkdir()
        (folder / "file").write_text(folder.name)

    line = "cat /data/file; echo; ls /data/.. | grep -c other || true; ls /run/colonies"
    lines = printed(backend, make_job(line, mounts=(Mount(str(mine), "/data", read_only=True),)))

    assert lines == ["mine", "0", "input.json", "oom", "output"]


RELAXED: Mapping[str, tuple[Mapping[str, Any], str, list[str]]] = {
    "root": ({"read_only_root": False, "user": "0:0"}, "touch /file && echo written", ["written"]),
    "user": ({"user": "1234:2345", "groups": ("3456",)}, "id -u; id -g; id -G", ["1234", "2345", "2345 3456"]),
    "capability": (
        {"capabilities": ("CHOWN",), "user": "0:0"},
        "touch /tmp/file && chown 1 /tmp/file && echo changed",
        ["changed"],
    ),
    "escalation": ({"privilege_escalation": True}, "awk '/^NoNewPrivs/ {print $2}' /proc/self/status", ["0"]),
    "seccomp": (
        {"security_options": ("seccomp=unconfined",)},
        "awk '/^Seccomp:/ {print $2}' /proc/self/status",
        ["0"],
    ),
    "no network": ({"network": "none"}, "ls /sys/class/net", ["lo"]),
    "the host's network": (
        {"network": "host"},
        "ls /sys/class/net | grep -c . > /tmp/n; [ $(cat /tmp/n) -gt 2 ] && echo all",
        ["all"],
    ),
}


@pytest.mark.parametrize("case", RELAXED)
def test_a_site_can_relax_each_of_them(make_backend: MakeBackend, make_job: MakeJob, case: str) -> None:
    settings, line, lines = RELAXED[case]

    assert printed(make_backend(**settings), make_job(line)) == lines


def test_a_daemon_that_is_root_must_say_whom_jobs_run_as(make_backend: MakeBackend, make_job: MakeJob) -> None:
    if os.geteuid():
        pytest.skip("this is about a daemon that is root")
    backend = make_backend(dev=False)

    with pytest.raises(UnsupportedError, match="whom jobs run as"):
        backend.plan(make_job("true"))

    assert any("root" in fault.what for fault in backend.probe().faults)


@pytest.mark.parametrize(
    "settings",
    [{"user": "root"}, {"host": "ssh://somewhere"}, {"ulimits": {"nofile": "many"}}, {"pull": "sometimes"}],
    ids=lambda settings: str(next(iter(settings))),
)
def test_a_setting_that_makes_no_sense_is_refused(make_backend: MakeBackend, settings: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings.values())) if "ulimits" not in settings else "many"):
        make_backend(**settings)


# --- networks ---------------------------------------------------------------------------------------------------------

MEET = """
if [ $RANK = 0 ]; then nc -l -p $MASTER_PORT -e echo hello
else until nc $MASTER_ADDR $MASTER_PORT < /dev/null; do sleep 0.2; done; fi
ls /sys/class/net | grep -v '^lo$' | wc -l; nc -w 2 $(ip route | awk '/default/ {print $3}') 1 2>&1 | grep -c refused || true
"""


@pytest.mark.parametrize(("network", "ways_out"), [("bridge", "1"), ("none", "0")])
def test_ranks_meet_in_a_network_of_their_own(
    make_backend: MakeBackend, make_job: MakeJob, network: str, ways_out: str
) -> None:
    lines = printed(make_backend(network=network), make_job(MEET, processes_per_node=2))

    assert sorted(lines) == sorted(["hello", "1", "1", ways_out, ways_out])


def test_ranks_meet_in_the_network_that_the_site_names(
    api: Any, make_backend: MakeBackend, make_job: MakeJob, owner: str
) -> None:
    api.create_network(f"site-{owner}", driver="bridge")
    try:
        lines = printed(make_backend(network=f"site-{owner}"), make_job(MEET, processes_per_node=2))
        assert "hello" in lines
    finally:
        api.remove_network(f"site-{owner}")


def test_ranks_of_the_host_s_network_meet_on_the_host(make_backend: MakeBackend, make_job: MakeJob) -> None:
    line = 'echo "$MASTER_ADDR"'

    assert printed(make_backend(network="host"), make_job(line, processes_per_node=2)) == ["127.0.0.1"] * 2


# --- GPUs -------------------------------------------------------------------------------------------------------------


def test_nvidia_s_gpus_are_asked_for_by_count(backend: DockerBackend, make_job: MakeJob) -> None:
    requests = host(backend, make_job("true", gpus=2))["DeviceRequests"]

    assert requests == [{"Driver": "nvidia", "Capabilities": [["gpu"]], "Count": 2}]
    assert "DeviceRequests" not in host(backend, make_job("true"))


KINDS = {"a100": ("0", "1"), "t4": ("2",)}

Created = Callable[[DockerBackend, JobSpec], Mapping[str, Any]]


@pytest.fixture
def created(api: Any, monkeypatch: pytest.MonkeyPatch) -> Created:
    """Submit a job whose GPUs this machine does not have, and return what the engine was asked to make of it."""
    bodies: list[dict[str, Any]] = []

    def submit(backend: DockerBackend, job: JobSpec) -> Mapping[str, Any]:
        client = backend._connection.api
        make = client.create_container_from_config

        def record(body: dict[str, Any], name: str) -> Any:
            bodies.append(body)
            plain = {
                key: value for key, value in body["HostConfig"].items() if key not in ("DeviceRequests", "Devices")
            }
            return make({**body, "HostConfig": plain}, name)

        monkeypatch.setattr(client, "create_container_from_config", record)
        backend.submit(backend.plan(job), lifetime=PATIENCE)
        monkeypatch.setattr(client, "create_container_from_config", make)
        return bodies[-1]

    return submit


def test_gpus_of_a_kind_are_given_to_one_job_at_a_time(
    make_backend: MakeBackend, make_job: MakeJob, created: Created
) -> None:
    backend = make_backend(gpus=KINDS)
    try:
        first = created(backend, make_job("sleep 60", gpus=1, gpu_name="a100"))
        second = created(backend, make_job("sleep 60", gpus=1, gpu_name="a100"))
        given = [body["HostConfig"]["DeviceRequests"][0]["DeviceIDs"] for body in (first, second)]
        assert given == [["0"], ["1"]]
        assert first["HostConfig"]["DeviceRequests"][0]["Capabilities"] == [["gpu"]]
        free = backend.capacity()
        assert free is not None
        assert free.gpus == 1

        with pytest.raises(UnavailableError, match="0, 1"):
            created(backend, make_job("true", gpus=1, gpu_name="a100"))
    finally:
        for found in backend.list_jobs():
            backend.remove(found.handle)
    free = backend.capacity()
    assert free is not None
    assert free.gpus == 3


def test_a_gpu_is_free_again_when_its_job_has_ended(
    make_backend: MakeBackend, make_job: MakeJob, created: Created
) -> None:
    backend = make_backend(gpus={"t4": ("2",)})
    try:
        body = created(backend, make_job("true", gpus=1))
        (found,) = backend.list_jobs()
        wait_for(
            lambda: backend.status([found.handle])[found.handle.job_id].state.ended, PATIENCE, "the end of the job"
        )
        assert (
            created(backend, make_job("true", gpus=1))["HostConfig"]["DeviceRequests"]
            == body["HostConfig"]["DeviceRequests"]
        )
    finally:
        for found in backend.list_jobs():
            backend.remove(found.handle)


def test_amd_s_gpus_are_devices(make_backend: MakeBackend, make_job: MakeJob, created: Created) -> None:
    node = "/dev/dri/renderD129"
    backend = make_backend(gpu_driver=GpuDriver.AMD, gpus={"mi250": (node,)}, groups=("44", "109"))
    try:
        body = created(backend, make_job("true", gpus=1, gpu_name="mi250"))
    finally:
        for found in backend.list_jobs():
            backend.remove(found.handle)

    assert [device["PathOnHost"] for device in body["HostConfig"]["Devices"]] == ["/dev/kfd", node]
    assert body["HostConfig"]["GroupAdd"] == ["44", "109"]
    assert "DeviceRequests" not in body["HostConfig"]


def test_a_device_of_the_container_device_interface_is_named(
    make_backend: MakeBackend, make_job: MakeJob, created: Created
) -> None:
    backend = make_backend(gpu_driver=GpuDriver.CDI, gpus={"any": ("nvidia.com/gpu=0",)})
    try:
        body = created(backend, make_job("true", gpus=1))
    finally:
        for found in backend.list_jobs():
            backend.remove(found.handle)

    assert body["HostConfig"]["DeviceRequests"] == [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0"]}]


@pytest.mark.parametrize(
    ("settings", "fields", "path"),
    [
        ({}, {"gpu_name": "a100"}, "conditions.gpu.name"),
        ({"gpus": KINDS}, {"gpu_name": "h100"}, "conditions.gpu.name"),
        ({"gpus": KINDS}, {"gpu_name": "t4", "gpus": 2}, "conditions.gpu.count"),
        ({"gpus": KINDS}, {"processes_per_node": 4}, "conditions.gpu.count"),
        ({"gpu_driver": GpuDriver.AMD}, {}, "conditions.gpu.count"),
    ],
    ids=["no kinds here", "another kind", "too many of a kind", "too many for all ranks", "AMD without a list"],
)
def test_gpus_that_the_site_does_not_have_are_refused(
    make_backend: MakeBackend, make_job: MakeJob, settings: Mapping[str, Any], fields: Mapping[str, Any], path: str
) -> None:
    with pytest.raises(UnsupportedError) as caught:
        make_backend(**settings).plan(make_job("true", **{"gpus": 1, **fields}))

    assert [problem.path for problem in caught.value.problems] == [path]


def test_gpus_are_chosen_among_the_free_ones() -> None:
    taken = taken_gpus([{"Labels": {"container-executor.gpus": "0,2"}}, {"Labels": {}}])

    assert choose(1, ["0", "1", "2"], taken) == ["1"]
    assert choose(2, ["0", "1", "2"], taken) is None
