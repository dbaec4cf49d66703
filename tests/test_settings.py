"""What sites and their older environment files say arrives in the settings, or is refused with its place."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from container_executor.errors import SettingsError
from container_executor.settings import Drain, Secret, Settings, StoreKind, load
from container_executor.settings.convert import parse_duration
from container_executor.settings.sources import BACKEND_VARIABLES, WITHOUT_EFFECT, known_variables

KEY = "ab" * 32


@pytest.fixture
def site(tmp_path: Path) -> "Site":
    return Site(tmp_path)


class Site:
    """A configuration file, variables and flags, and the settings that they make."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "config.toml"

    def load(
        self, toml: str = "", environ: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None
    ) -> Settings:
        self.file.write_text(toml)
        return load(file=self.file, environ=environ or {}, flags=flags or {})

    def problems(
        self, toml: str = "", environ: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None
    ) -> list[str]:
        with pytest.raises(SettingsError) as caught:
            self.load(toml, environ, flags)
        return str(caught.value).replace(f"{self.file}:", "FILE:").splitlines()


# --- precedence -------------------------------------------------------------------------------------------------------


def test_flags_win_over_the_environment_that_over_the_file_and_that_over_defaults(site: Site) -> None:
    toml = '[server]\nhost = "file"\nport = 1\ncolony = "file"\n'
    environ = {"COLONIES_SERVER_HOST": "environment", "COLONIES_SERVER_PORT": "2"}

    settings = site.load(toml, environ, {"server.host": "flag"})

    assert (settings.server.host, settings.server.port, settings.server.colony) == ("flag", 2, "file")
    assert settings.server.tls is True


def test_each_value_says_where_it_came_from(site: Site) -> None:
    settings = site.load('\n[server]\n# a comment\ncolony = "x"\n', {"COLONIES_TLS": "false"}, {"server.port": 5})

    assert settings.origin("server.colony") == f"{site.file}:4"
    assert settings.origin("server.tls") == "COLONIES_TLS"
    assert settings.origin("server.port") == "the command line"
    assert settings.origin("server.host") == "default"


def test_a_flag_that_was_not_given_and_an_empty_variable_change_nothing(site: Site) -> None:
    settings = site.load(
        '[server]\nhost = "file"\n', {"COLONIES_SERVER_HOST": "", "EXECUTOR_HW_NODES": ""}, {"server.host": None}
    )

    assert settings.server.host == "file"
    assert settings.hardware.nodes == 1


def test_our_own_variable_wins_over_older_names_and_the_loser_is_named(site: Site) -> None:
    environ = {"CONTAINER_EXECUTOR_SERVER_TLS": "false", "COLONIES_TLS": "true", "COLONIES_SERVER_TLS": "false"}

    settings = site.load(environ=environ)

    assert settings.server.tls is False
    assert settings.warnings == (
        "COLONIES_TLS has no effect on server.tls: CONTAINER_EXECUTOR_SERVER_TLS is set too, to something else",
    )


def test_the_file_is_found_where_the_variable_says(site: Site) -> None:
    site.file.write_text('backend = "docker"\n')

    assert load(environ={"CONTAINER_EXECUTOR_CONFIG": str(site.file)}).backend == "docker"


# --- every older name -------------------------------------------------------------------------------------------------

OLDER_NAMES = [
    ("COLONIES_SERVER_HOST", "h", "server.host", "h"),
    ("COLONIES_SERVER_PORT", "1", "server.port", 1),
    ("COLONIES_SERVER_HTTP_PORT", "1", "server.port", 1),
    ("COLONIES_TLS", "false", "server.tls", False),
    ("COLONIES_SERVER_TLS", "false", "server.tls", False),
    ("COLONIES_VERBOSE", "true", "verbose", True),
    ("COLONIES_COLONY_NAME", "c", "server.colony", "c"),
    ("COLONIES_COLONY_PRVKEY", KEY, "server.colony_key", Secret(KEY)),
    ("COLONIES_PRVKEY", KEY, "server.key", Secret(KEY)),
    ("COLONIES_EXECUTOR_PRVKEY", KEY, "server.key", Secret(KEY)),
    ("COLONIES_EXECUTOR_NAME", "e", "executor.name", "e"),
    ("EXECUTOR_TYPE", "t", "executor.type", "t"),
    ("COLONIES_EXECUTOR_TYPE", "t", "executor.type", "t"),
    ("EXECUTOR_FS_DIR", "/cfs", "cfs.fs_dir", Path("/cfs")),
    ("EXECUTOR_SW_NAME", "n", "software.name", "n"),
    ("EXECUTOR_SW_TYPE", "t", "software.type", "t"),
    ("EXECUTOR_SW_VERSION", "v", "software.version", "v"),
    ("EXECUTOR_HW_CPU", "4000m", "hardware.cpu", "4000m"),
    ("EXECUTOR_HW_MEM", "16Gi", "hardware.memory", "16Gi"),
    ("EXECUTOR_HW_TOTAL_CPU", "4000m", "executor.cpu", 4000),
    ("EXECUTOR_HW_TOTAL_MEM", "16Gi", "executor.memory", 16 * 2**30),
    ("EXECUTOR_HW_TOTAL_CPU", "4000m", "hardware.cpu", "4000m"),
    ("EXECUTOR_HW_TOTAL_MEM", "16Gi", "hardware.memory", "16Gi"),
    ("EXECUTOR_HW_MODEL", "m", "hardware.model", "m"),
    ("EXECUTOR_HW_STORAGE", "1Ti", "hardware.storage", "1Ti"),
    ("EXECUTOR_HW_NODES", "2", "hardware.nodes", 2),
    ("EXECUTOR_HW_GPU_COUNT", "3", "hardware.gpu_count", 3),
    ("EXECUTOR_HW_GPU_NODES_COUNT", "4", "hardware.gpu_nodes", 4),
    ("EXECUTOR_HW_GPU_NAME", "g", "hardware.gpu_name", "g"),
    ("EXECUTOR_HW_GPU_MEM", "12GiB", "hardware.gpu_memory", "12GiB"),
    ("EXECUTOR_HW_PLATFORM", "linux", "hardware.platform", "linux"),
    ("EXECUTOR_HW_ARCHITECTURE", "arm64", "hardware.architecture", "arm64"),
    ("EXECUTOR_PARALLEL_CONTAINERS", "false", "executor.parallel", 1),
    ("EXECUTOR_PARALLEL_CONTAINERS", "8", "executor.parallel", 8),
    ("EXECUTOR_START_PARALLEL_CONTAINERS", "true", "executor.parallel", None),
    ("AWS_S3_ENDPOINT", "s3:9000", "cfs.endpoint", "s3:9000"),
    ("AWS_S3_ACCESSKEY", "a", "cfs.access_key", Secret("a")),
    ("AWS_S3_SECRETKEY", "s", "cfs.secret_key", Secret("s")),
    ("AWS_S3_REGION", "r", "cfs.region", "r"),
    ("AWS_S3_REGION_KEY", "r", "cfs.region", "r"),
    ("AWS_S3_TLS", "true", "cfs.tls", True),
    ("AWS_S3_BUCKET", "b", "cfs.bucket", "b"),
    ("AWS_S3_SKIPVERIFY", "true", "cfs.skip_verify", True),
]


@pytest.mark.parametrize(("variable", "text", "path", "value"), OLDER_NAMES)
def test_a_variable_of_the_older_executors_sets_the_same_thing_here(
    site: Site, variable: str, text: str, path: str, value: object
) -> None:
    settings = site.load(environ={variable: text})

    assert settings.value(path) == value
    assert settings.origin(path) == variable


@pytest.mark.parametrize(("variable", "path"), BACKEND_VARIABLES.items())
def test_a_variable_about_one_engine_reaches_the_table_of_its_backend(site: Site, variable: str, path: str) -> None:
    settings = site.load(environ={variable: "x"})

    _, backend, name = path.split(".")
    assert settings.backends[backend][name] == "x"


@pytest.mark.parametrize("variable", WITHOUT_EFFECT)
def test_a_variable_that_means_nothing_any_more_is_accepted_and_said_to_have_no_effect(
    site: Site, variable: str
) -> None:
    assert [warning.partition(" ")[0] for warning in site.load(environ={variable: "true"}).warnings] == [variable]


def test_every_setting_has_a_variable_of_its_own_that_no_other_setting_shares() -> None:
    ours = [name for name in known_variables() if name.startswith("CONTAINER_EXECUTOR_")]

    assert all(len(known_variables()[name]) == 1 for name in ours)


def test_a_server_administrators_variables_do_not_disturb(site: Site) -> None:
    assert site.load(environ={"COLONIES_DB_HOST": "db", "COLONIES_SERVER_ID": "x", "PATH": "/bin"}).warnings == ()


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_valid_one(site: Site) -> None:
    assert site.problems('[server]\nhost = "x"\n\nprot = 1\n') == [
        "FILE:4: [server] has no setting prot; did you mean port?"
    ]


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("bakend = 'x'\n", "FILE:1: there is no setting bakend; did you mean backend?"),
        ("\n[sever]\nx = 1\n", "FILE:3: there is no table [sever]; did you mean [server]?"),
        ("server.hots = 'x'\n", "FILE:1: [server] has no setting hots; did you mean host?"),
        ("server = 'x'\n", "FILE:1: server is a table: write [server]"),
        ("[backends]\nprocess = 1\n", "FILE:2: backends.process is a table: write [backends.process]"),
    ],
)
def test_a_wrong_table_or_key_is_named_with_what_was_meant(site: Site, toml: str, problem: str) -> None:
    assert site.problems(toml) == [problem]


def test_an_unknown_variable_of_ours_is_refused_and_of_others_warned_of_when_it_is_nearly_right(site: Site) -> None:
    assert site.problems(environ={"CONTAINER_EXECUTOR_SERVER_HSOT": "x"}) == [
        "CONTAINER_EXECUTOR_SERVER_HSOT: there is no such setting; did you mean CONTAINER_EXECUTOR_SERVER_HOST?"
    ]
    assert site.load(environ={"COLONIES_COLONY_NAMES": "x"}).warnings == (
        "COLONIES_COLONY_NAMES has no effect; did you mean COLONIES_COLONY_NAME?",
    )


def test_all_problems_of_all_sources_come_at_once(site: Site) -> None:
    toml = '[server]\nport = "x"\n[executor]\ndrain = "later"\nlaunches = 0\ncpu = "4 cores"\n'

    problems = site.problems(toml, {"COLONIES_TLS": "maybe", "EXECUTOR_HW_NODES": "two"}, {"executor.log_cap": "1 lot"})

    assert problems == [
        "FILE:2: server.port: 'x' is no whole number",
        "COLONIES_TLS: server.tls: 'maybe' is neither true nor false",
        "FILE:6: executor.cpu: '4 cores' is no number of cores; write 500m, 2 or 0.5",
        "FILE:4: executor.drain: 'later' is not wait or handover",
        "FILE:5: executor.launches: must be >= 1: 0",
        "the command line: executor.log_cap: '1 lot' is no size; write 512Mi, 1Gi, 1.5Gi, 2000MB or 2G",
        "EXECUTOR_HW_NODES: hardware.nodes: 'two' is no whole number",
    ]


@pytest.mark.parametrize(
    "wrong", ["port = 1.5", "port = true", "port = 65536", "port = [1]", "tls = 1", "tls = 'true'", "host = 1"]
)
def test_a_value_of_the_wrong_type_in_a_file_is_refused(site: Site, wrong: str) -> None:
    (problem,) = site.problems(f"[server]\n{wrong}\n")

    assert problem.startswith(f"FILE:2: server.{wrong.partition(' ')[0]}: ")


def test_a_file_that_is_no_toml_or_not_there_is_named(site: Site, tmp_path: Path) -> None:
    assert "is not TOML" in site.problems("[server\n")[0]
    with pytest.raises(SettingsError, match=r"missing.toml: cannot read it: No such file"):
        load(file=tmp_path / "missing.toml", environ={})


def test_what_is_needed_and_not_set_is_named_with_every_way_to_set_it(site: Site) -> None:
    with pytest.raises(SettingsError) as caught:
        site.load().require("server.colony", "server.host", "backend")

    assert str(caught.value).splitlines() == [
        "server.colony is not set: set CONTAINER_EXECUTOR_SERVER_COLONY or COLONIES_COLONY_NAME, or [server] colony in the configuration file",
        "backend is not set: set CONTAINER_EXECUTOR_BACKEND, or backend in the configuration file",
    ]


# --- values -----------------------------------------------------------------------------------------------------------


def test_values_have_the_types_that_the_parts_need(site: Site) -> None:
    toml = """
        [executor]
        drain = "handover"
        poll_timeout = 5
        admission_timeout = "2h"
        memory = "1.5Gi"
        [limits]
        images = ["registry.example.org/*", "busybox"]
        walltime = "1d"
        [cfs]
        store = "folder"
        fs_dir = "/cfs"
        [hardware]
        network = ["10.0.0.1"]
    """

    settings = site.load(toml)

    assert settings.executor.drain is Drain.HANDOVER
    assert settings.executor.poll_timeout == timedelta(seconds=5)
    assert settings.executor.admission_timeout == timedelta(hours=2)
    assert settings.executor.memory == 1536 * 2**20
    assert settings.limits.images == ("registry.example.org/*", "busybox")
    assert settings.limits.walltime == timedelta(days=1)
    assert settings.cfs.store is StoreKind.FOLDER
    assert settings.cfs.fs_dir == Path("/cfs")
    assert settings.hardware.network == ("10.0.0.1",)


def test_lists_in_variables_are_separated_by_commas(site: Site) -> None:
    assert site.load(environ={"CONTAINER_EXECUTOR_LIMITS_IMAGES": "a/*, b"}).limits.images == ("a/*", "b")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("30s", 30), ("1.5h", 5400), ("7d", 604_800), ("500ms", 0.5), ("10 m", 600), ("2min", 120)],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "soon", "-5", "1y", "1h30m", "9" * 400])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|long"):
        parse_duration(text)


def test_the_address_of_the_server_follows_from_its_parts(site: Site) -> None:
    assert site.load(environ={"COLONIES_TLS": "false"}).server.url == "http://localhost:50080"
    assert site.load(environ={"COLONIES_SERVER_HOST": "::1"}).server.url == "https://[::1]:50080"


def test_the_table_of_a_backend_is_kept_for_its_class_to_check(site: Site) -> None:
    settings = site.load("[backends.x]\na = 1\n", {"CONTAINER_EXECUTOR_BACKENDS_X_B_C": "2"})

    assert settings.backends["x"] == {"a": 1, "b_c": "2"}
    assert settings.origin("backends.x.a") == f"{site.file}:2"


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_secrets_appear_in_no_text_of_the_settings(site: Site) -> None:
    environ = {"COLONIES_PRVKEY": KEY, "COLONIES_COLONY_PRVKEY": KEY, "AWS_S3_SECRETKEY": KEY}

    settings = site.load(environ=environ)

    assert KEY not in f"{settings} {settings!r} {settings.server} {settings.server.key:>10} {settings.origins}"
    assert settings.server.key is not None
    assert settings.server.key.reveal() == KEY


def test_a_secret_is_read_from_its_file(site: Site, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")

    settings = site.load(f'[server]\nkey_file = "{tmp_path}/key"\n')

    assert settings.server.key == Secret(KEY)
    assert settings.origin("server.key") == str(tmp_path / "key")


def test_a_secret_and_a_file_of_it_follow_the_same_precedence(site: Site, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-file")
    toml = f'[server]\nkey_file = "{tmp_path}/key"\n'

    assert site.load(toml, {"COLONIES_PRVKEY": "from-variable"}).server.key == Secret("from-variable")
    assert site.load('[server]\nkey = "x"\n', {}, {"server.key_file": str(tmp_path / "key")}).server.key == Secret(
        "from-file"
    )
    assert site.problems(toml + 'key = "x"\n') == ["FILE:2: server.key_file and server.key are both given; keep one"]


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot read"), ("", "is empty"), (b"\xff\xfe", "is not a text")]
)
def test_a_secret_file_that_cannot_be_used_is_named(site: Site, tmp_path: Path, content: object, words: str) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content if isinstance(content, bytes) else b"")

    (problem,) = site.problems(f'[server]\nkey_file = "{tmp_path}/key"\n')

    assert problem.startswith("FILE:2: server.key_file: ")
    assert words in problem


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(site: Site) -> None:
    (problem,) = site.problems(flags={"server.key": KEY})

    assert "can be read by everyone on this machine; use key_file or a variable" in problem
    assert KEY not in problem


def test_a_wrong_secret_is_refused_without_showing_it(site: Site) -> None:
    assert site.problems("[server]\nkey = 123456\n") == ["FILE:2: server.key: a secret is a text"]
