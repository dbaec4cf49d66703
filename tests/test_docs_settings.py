"""``docs/settings.md`` lists every setting as the code has it. ``python tests/test_docs_settings.py`` writes its tables anew."""

import enum
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import attrs

from container_executor.secret import Secret
from container_executor.settings import fields, variables
from container_executor.settings.sources import BACKEND_VARIABLES, WITHOUT_EFFECT
from container_executor.units import format_duration, parse_cpu, parse_memory

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"
BEGIN, END = "<!-- from the code: begin -->\n", "<!-- from the code: end -->\n"
KINDS = {
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    timedelta: "duration",
    Secret: "secret",
}
COMPUTED = {"state_dir": "see there", "hardware.architecture": "that of this machine"}


def tables() -> str:
    """Return the part of the page that the code determines."""
    return "\n".join([*_settings(), *_backend_variables(), *_without_effect()])


def _settings() -> Iterator[str]:
    section = None
    for path, field in fields().items():
        if path.rpartition(".")[0] != section:
            section = path.rpartition(".")[0]
            yield from _heading(section)
        yield f"| `{path.rpartition('.')[2]}` | {_kind(field)} | {_default(path, field)} | {_names(path)} | {field.metadata['help']} |"
    yield ""


def _heading(section: str) -> Iterator[str]:
    title = f"`[{section}]`" if section else "At the top of the file"
    yield from (
        "",
        f"### {title}",
        "",
        "| setting | type | default | variables | meaning |",
        "| --- | --- | --- | --- | --- |",
    )


def _kind(field: "attrs.Attribute[Any]") -> str:
    parse, kind = field.metadata["parse"], field.type
    if parse in (parse_cpu, parse_memory):
        return "cores" if parse is parse_cpu else "size"
    kind = (
        next((each for each in get_args(kind) if each is not type(None)), kind)
        if type(None) in get_args(kind)
        else kind
    )
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return " or ".join(f"`{member.value}`" for member in kind)
    return "list of texts" if get_args(kind) else KINDS[kind]  # type: ignore[index]  # every field has a type


def _default(path: str, field: "attrs.Attribute[Any]") -> str:
    default = field.default
    if path in COMPUTED:
        return COMPUTED[path]
    if default is None or default in ("", ()):
        return "-"
    if isinstance(default, timedelta):
        return format_duration(default)
    if field.metadata["parse"] is parse_memory:
        return next(
            f"`{default // size}{unit}`"
            for unit, size in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10))
            if default % size == 0
        )
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _names(path: str) -> str:
    return ", ".join(f"`{name}`" for name in variables(path)[1:]) or "-"


def _backend_variables() -> Iterator[str]:
    yield from ("### Variables of older executors about one engine", "", "| variable | sets |", "| --- | --- |")
    yield from (f"| `{name}` | `{path}` |" for name, path in BACKEND_VARIABLES.items())
    yield ""


def _without_effect() -> Iterator[str]:
    yield from ("### Variables of older executors without effect", "", "They are accepted, and said to have none.", "")
    yield from ("| variable | because |", "| --- | --- |")
    yield from (f"| `{name}` | {reason} |" for name, reason in WITHOUT_EFFECT.items())
    yield ""


def test_the_page_lists_every_setting_as_the_code_has_it() -> None:
    listed = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]

    assert listed == tables(), "run: python tests/test_docs_settings.py"


def test_the_example_of_the_page_is_a_configuration_that_loads(tmp_path: Path) -> None:
    from container_executor.settings import load

    example = PAGE.read_text().partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "key").write_text("ab" * 32)
    file = tmp_path / "config.toml"
    file.write_text(example.replace("/etc/container-executor/colony.key", str(tmp_path / "key")))

    settings = load(file=file, environ={})

    assert settings.backend
    assert settings.server.colony_key is not None


if __name__ == "__main__":
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{tables()}{END}{rest.partition(END)[2]}")
