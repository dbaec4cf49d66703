"""Every setting of the core that belongs to a section: its name, type and default, what it means, what else sets it.

A setting's path is its section and its name, ``server.host``. Its variable is that path in capitals after our prefix,
``CONTAINER_EXECUTOR_SERVER_HOST``; the variables listed with a field are other names for it, in order of precedence.
"""

import enum
import os
from datetime import timedelta
from pathlib import Path

import attrs

from container_executor.secret import Secret
from container_executor.settings.field import count, port, positive, setting, some_time
from container_executor.units import parse_cpu, parse_memory


class Drain(enum.StrEnum):
    """What the daemon does with its jobs when it is told to end."""

    WAIT = "wait"
    HANDOVER = "handover"


class LogFormat(enum.StrEnum):
    """How the daemon writes its own log."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


class StoreKind(enum.StrEnum):
    """Where the contents of synchronised files are."""

    S3 = "s3"
    FOLDER = "folder"


@attrs.frozen(kw_only=True)
class ServerSettings:
    """The Colonies server and who we are to it."""

    host: str = setting("localhost", "Name or address of the Colonies server.", env=["COLONIES_SERVER_HOST"])
    port: int = setting(
        50080,
        "Its port.",
        env=["COLONIES_SERVER_HTTP_PORT", "COLONIES_SERVER_PORT"],
        check=port,
    )
    tls: bool = setting(
        True,
        "Speak HTTPS. As with the official command line, it must be switched off by name.",
        env=["COLONIES_TLS", "COLONIES_SERVER_TLS"],
    )
    colony: str = setting("", "Name of the colony.", env=["COLONIES_COLONY_NAME"])
    timeout: timedelta = setting(timedelta(seconds=30), "How long one call to the server may take.", check=some_time)
    key: Secret | None = setting(
        None,
        "Private key of this executor or user. Without one, the daemon makes its own and keeps it in the state directory.",
        env=["COLONIES_PRVKEY", "COLONIES_EXECUTOR_PRVKEY"],
    )
    key_file: Path | None = setting(None, "File that holds server.key.")
    colony_key: Secret | None = setting(
        None,
        "Private key of the colony's owner. With it the daemon registers and approves itself.",
        env=["COLONIES_COLONY_PRVKEY"],
    )
    colony_key_file: Path | None = setting(None, "File that holds server.colony_key.")

    @property
    def url(self) -> str:
        """Where the server answers, without a trailing slash."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


def _parse_parallel(text: str) -> int | None:
    old_switch = {"true": None, "false": 1}
    if text.lower() in old_switch:
        return old_switch[text.lower()]
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{text!r} is no number of processes; write 8, true for no bound or false for 1")
    return int(text)


@attrs.frozen(kw_only=True)
class ExecutorSettings:
    """This executor as the server sees it, and what it takes on."""

    name: str = setting(
        "", "Name of this executor, unique in its colony, without a colon.", env=["COLONIES_EXECUTOR_NAME"]
    )
    type: str = setting(
        "container-executor",
        "Type that function specs ask for in conditions.executortype.",
        env=["EXECUTOR_TYPE", "COLONIES_EXECUTOR_TYPE"],
    )
    location: str = setting("", "Location that function specs may ask for in conditions.locationname.")
    owner: str = setting(
        "",
        "Id that marks our jobs on the engine, lowercase hex. Empty: the one in the state directory. "
        "Set it to take over the jobs of a lost state directory.",
        check=attrs.validators.matches_re(r"(?:[0-9a-f]{8,64})?"),
    )
    parallel: int | None = setting(
        None,
        "How many processes run at once at most; not set: as many as fit. The old switches true and false mean no bound and 1.",
        env=["EXECUTOR_PARALLEL_CONTAINERS", "EXECUTOR_START_PARALLEL_CONTAINERS"],
        parse=_parse_parallel,
        check=positive,
    )
    cpu: int | None = setting(
        None,
        "Cores of all jobs together, as 500m or 64; not set: what the engine reports.",
        env=["EXECUTOR_HW_TOTAL_CPU"],
        parse=parse_cpu,
        check=positive,
    )
    memory: int | None = setting(
        None,
        "Memory of all jobs together, as 256Gi; not set: what the engine reports.",
        env=["EXECUTOR_HW_TOTAL_MEM"],
        parse=parse_memory,
        check=positive,
    )
    gpus: int | None = setting(None, "GPUs of all jobs together; not set: what the engine reports.", check=count)
    poll_timeout: timedelta = setting(
        timedelta(seconds=12),
        "How long one question for work waits at the server. A job that ends is never delayed by it.",
        check=some_time,
    )
    drain: Drain = setting(
        Drain.WAIT,
        "On TERM: wait for the jobs to end, or hand over, which ends at once and leaves them to the next start.",
    )
    admission_timeout: timedelta = setting(
        timedelta(minutes=10),
        "How long a process that was taken may wait for free capacity before it is closed as failed.",
        check=some_time,
    )
    pending_timeout: timedelta = setting(
        timedelta(hours=1),
        "How long the engine may take to start a job before it is stopped and closed as failed.",
        check=some_time,
    )
    launches: int = setting(
        3, "How often one attempt is launched when the engine, not the job, failed.", check=positive
    )
    log_cap: int = setting(
        64 * 2**20,
        "Bytes of output that one process may send to the server; beyond it the head and the tail are kept.",
        parse=parse_memory,
        check=positive,
    )
    health_port: int = setting(
        9464,
        "Port on 127.0.0.1 of /healthz and /metrics; 0 takes a free one and logs it.",
        check=port,
    )


@attrs.frozen(kw_only=True)
class HardwareSettings:
    """What the server shows of the machines behind this executor. Nothing is decided by it."""

    model: str = setting("", "Model of the machines.", env=["EXECUTOR_HW_MODEL"])
    nodes: int = setting(1, "Number of machines.", env=["EXECUTOR_HW_NODES"], check=count)
    cpu: str = setting("", "Cores, as text.", env=["EXECUTOR_HW_CPU", "EXECUTOR_HW_TOTAL_CPU"])
    cores: int = setting(0, "Number of cores.", check=count)
    memory: str = setting("", "Memory, as text.", env=["EXECUTOR_HW_MEM", "EXECUTOR_HW_TOTAL_MEM"])
    storage: str = setting("", "Storage, as text.", env=["EXECUTOR_HW_STORAGE"])
    platform: str = setting("linux", "Operating system.", env=["EXECUTOR_HW_PLATFORM"])
    architecture: str = setting(
        lambda: os.uname().machine,
        "Processor architecture; not set: that of this machine.",
        env=["EXECUTOR_HW_ARCHITECTURE"],
    )
    network: tuple[str, ...] = setting((), "Addresses.")
    gpu_name: str = setting("", "Kind of the GPUs.", env=["EXECUTOR_HW_GPU_NAME"])
    gpu_memory: str = setting("", "Memory of one GPU, as text.", env=["EXECUTOR_HW_GPU_MEM"])
    gpu_count: int = setting(0, "Number of GPUs.", env=["EXECUTOR_HW_GPU_COUNT"], check=count)
    gpu_nodes: int = setting(0, "Number of machines with GPUs.", env=["EXECUTOR_HW_GPU_NODES_COUNT"], check=count)


@attrs.frozen(kw_only=True)
class SoftwareSettings:
    """What the server shows of the software behind this executor. Empty: this program and its backend."""

    name: str = setting("", "Name.", env=["EXECUTOR_SW_NAME"])
    type: str = setting("", "Type.", env=["EXECUTOR_SW_TYPE"])
    version: str = setting("", "Version.", env=["EXECUTOR_SW_VERSION"])


@attrs.frozen(kw_only=True)
class LimitSettings:
    """What a function spec may ask for at this site."""

    ranks: int = setting(1024, "Ranks of one job: nodes times processes per node.", check=positive)
    walltime: timedelta = setting(
        timedelta(days=7),
        "The longest walltime, and how long a process whose maxexectime is -1 may take.",
        check=some_time,
    )
    env_bytes: int = setting(2**18, "Bytes of all variables of a spec.", parse=parse_memory, check=positive)
    args_bytes: int = setting(2**20, "Bytes of the command and its arguments.", parse=parse_memory, check=positive)
    images: tuple[str, ...] = setting(
        (),
        "Patterns of the full references of the images that may run, with * and ?, as docker.io/library/*; empty: all.",
    )
    image_roots: tuple[str, ...] = setting((), "Directories of this host below which an image may be a file.")


@attrs.frozen(kw_only=True)
class CfsSettings:
    """Where synchronised files are: the directories that jobs see, and the object store behind them."""

    fs_dir: Path | None = setting(
        None,
        "Directory below which the directories of jobs are made; not set: in the state directory.",
        env=["EXECUTOR_FS_DIR"],
    )
    store: StoreKind = setting(StoreKind.S3, "Kind of the object store: s3, or folder for a local one.")
    folder: Path | None = setting(None, "Directory of a folder store.")
    endpoint: str = setting("", "Host and port of the S3 server, without a scheme.", env=["AWS_S3_ENDPOINT"])
    bucket: str = setting("", "Bucket.", env=["AWS_S3_BUCKET"])
    region: str = setting("", "Region.", env=["AWS_S3_REGION", "AWS_S3_REGION_KEY"])
    tls: bool = setting(False, "Speak HTTPS to the S3 server.", env=["AWS_S3_TLS"])
    skip_verify: bool = setting(False, "Do not check the S3 server's certificate.", env=["AWS_S3_SKIPVERIFY"])
    access_key: Secret | None = setting(None, "Access key.", env=["AWS_S3_ACCESSKEY"])
    access_key_file: Path | None = setting(None, "File that holds cfs.access_key.")
    secret_key: Secret | None = setting(None, "Secret key.", env=["AWS_S3_SECRETKEY"])
    secret_key_file: Path | None = setting(None, "File that holds cfs.secret_key.")
