"""Backends are found by name, opened with checked settings, and every way that can fail is one sentence that says what to do."""

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from container_executor import registry
from container_executor.errors import SettingsError
from container_executor.secret import Secret

BACKEND = '''
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar
import attrs
from container_executor.backend import Backend
from container_executor.models import Health
from container_executor.secret import Secret
from container_executor.units import parse_memory

@attrs.frozen(kw_only=True)
class Rule:
    gpu: str
    partition: str = "main"

@attrs.define(eq=False, kw_only=True)
class Fancy(Backend):
    """A backend.

    Attributes:
        owner: Whose.
        pools: Names of pools,
            tried in order.
    """

    name: ClassVar[str] = "fancy"
    owner: str
    directory: Path
    dev: bool = False
    url: str = attrs.field(metadata={"help": "Where it is."})
    size: int = attrs.field(default=1, metadata={"help": "How big.", "parse": parse_memory}, validator=attrs.validators.ge(1))
    patience: timedelta = timedelta(seconds=30)
    password: Secret | None = None
    pools: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    patch: Mapping[str, Any] = attrs.field(factory=dict)
    _client: object = attrs.field(default=None, init=False)

    def plan(self, job): ...
    def submit(self, plan, *, lifetime): ...
    def status(self, handles): ...
    def logs(self, handle, cursor="", *, limit=0): ...
    def cancel(self, handle, *, force=False): ...
    def remove(self, handle): ...
    def list_jobs(self): ...
    def probe(self): return Health(reachable=True)

class Impostor:
    pass
'''

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution that offers backends, for this test only."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(distribution: str, offers: dict[str, str], *, extras: tuple[str, ...] = (), **modules: str) -> None:
        info = tmp_path / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        provided = "".join(f"Provides-Extra: {extra}\n" for extra in extras)
        (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {distribution}\nVersion: 1.2\n{provided}")
        lines = "".join(f"{name} = {value}\n" for name, value in offers.items())
        (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{lines}")
        for name, text in modules.items():
            (tmp_path / f"{name}.py").write_text(text)
            monkeypatch.delitem(sys.modules, name, raising=False)

    return make


def open_fancy(**settings: object) -> object:
    return registry.open_backend("fancy", owner="ab" * 8, directory=Path("/d"), dev=True, settings=settings)


def refusal(call: Callable[[], object]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        call()
    return str(caught.value).splitlines()


def test_our_own_backends_are_listed_and_nothing_of_them_is_imported() -> None:
    code = (
        "import sys; from container_executor import registry; print(*registry.names()); "
        "print([name for name in sys.modules if name.startswith(('container_executor_', 'docker', 'kubernetes', 'aiohttp'))])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()

    assert {"docker", "kube", "process", "slurm"} <= set(printed[0].split())
    assert printed[1] == "[]"


def test_a_third_party_backend_is_found_and_its_origin_told(install: Install) -> None:
    install("third-party", {"fancy": "fancy_backend:Fancy"}, fancy_backend=BACKEND)

    assert "fancy" in registry.names()
    assert registry.source("fancy") == "third-party 1.2"
    assert registry.load("fancy").name == "fancy"


def test_an_unknown_name_is_refused_with_the_nearest_and_all_that_there_are() -> None:
    (message,) = refusal(lambda: registry.load("proces"))

    assert message.startswith("there is no backend 'proces'; did you mean process? Installed: ")
    assert "docker, kube" in message


def test_two_distributions_that_offer_one_name_are_both_named(install: Install) -> None:
    install("one", {"fancy": "fancy_backend:Fancy"}, fancy_backend=BACKEND)
    install("two", {"fancy": "other:Fancy"})

    assert refusal(registry.names) == ["one and two both offer a backend named fancy; uninstall one of them"]


def test_a_class_that_is_no_backend_is_refused(install: Install) -> None:
    install("third-party", {"fancy": "fancy_backend:Impostor"}, fancy_backend=BACKEND)

    (message,) = refusal(lambda: registry.load("fancy"))

    assert message.startswith("fancy_backend:Impostor of third-party, offered as backend fancy, is no backend")


def test_a_missing_sdk_is_one_sentence_with_the_extra_that_brings_it(install: Install) -> None:
    install(
        "third-party", {"fancy": "fancy_backend:Fancy"}, extras=("fancy",), fancy_backend="import surely_missing.sdk\n"
    )

    assert refusal(lambda: registry.load("fancy")) == [
        "the fancy backend needs the Python package surely_missing: pip install 'third-party[fancy]'"
    ]


def test_a_broken_installation_is_told_apart_from_a_missing_sdk(install: Install) -> None:
    install("third-party", {"fancy": "not_there:Fancy", "odd": "odd_backend:Fancy"}, odd_backend="")

    assert refusal(lambda: registry.load("fancy")) == ["third-party offers backend fancy, but has no not_there"]
    assert (
        "cannot be imported: module 'odd_backend' has no attribute 'Fancy'" in refusal(lambda: registry.load("odd"))[0]
    )


def test_fields_are_settings_and_the_core_fills_its_own(install: Install) -> None:
    install("third-party", {"fancy": "fancy_backend:Fancy"}, fancy_backend=BACKEND)

    opened = open_fancy(
        url="u",
        size="1Gi",
        patience="5m",
        password="pw",
        pools=["a", "b"],
        rules=[{"gpu": "x"}],
        patch={"spec": {"a": [1]}},
    )

    values = {
        name: getattr(opened, name)
        for name in ("owner", "directory", "dev", "url", "size", "patience", "password", "pools")
    }
    assert values == {
        "owner": "ab" * 8,
        "directory": Path("/d"),
        "dev": True,
        "url": "u",
        "size": 2**30,
        "patience": timedelta(minutes=5),
        "password": Secret("pw"),
        "pools": ("a", "b"),
    }
    assert "Rule(gpu='x', partition='main')" in repr(opened)
    assert "pw" not in repr(opened).replace("password", "")


def test_every_wrong_setting_is_told_at_once_with_what_gave_it(install: Install) -> None:
    install("third-party", {"fancy": "fancy_backend:Fancy"}, fancy_backend=BACKEND)
    settings = {"ulr": "x", "size": 0, "patience": "soon", "rules": [{"gpus": 1}], "owner": "mine"}

    lines = refusal(
        lambda: registry.open_backend(
            "fancy",
            owner="ab",
            directory=Path("/d"),
            settings=settings,
            origins={"ulr": "site.toml:3", "size": "site.toml:4"},
        )
    )

    assert lines == [
        "site.toml:3: [backends.fancy] has no setting ulr; did you mean url?",
        "site.toml:4: backends.fancy.size: must be >= 1: 0",
        "backends.fancy.patience: 'soon' is no duration; write 30s, 10m, 2h or 7d",
        "backends.fancy.rules: there is no gpus; did you mean gpu?",
        "[backends.fancy] has no setting owner",
        "backends.fancy.url is not set: set it below [backends.fancy]",
    ]


def test_settings_are_documented_from_the_class(install: Install) -> None:
    install("third-party", {"fancy": "fancy_backend:Fancy"}, fancy_backend=BACKEND)

    found = {each.name: (each.type, each.default, each.help) for each in registry.settings_of("fancy")}

    assert found["url"] == ("str", "", "Where it is.")
    assert found["size"] == ("int", "1", "How big.")
    assert found["pools"] == ("tuple[str, ...]", "()", "Names of pools, tried in order.")
    assert not {"owner", "directory", "dev", "_client"} & set(found)


def test_every_installed_backend_that_can_be_loaded_documents_every_setting() -> None:
    for name in ("process", "docker", "kube", "slurm"):
        try:
            found = registry.settings_of(name)
        except SettingsError:
            continue  # its SDK is not installed here
        assert [each.name for each in found if not each.help] == [], name
