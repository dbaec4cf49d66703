"""What is printed: tables for people, JSON for programs, texts of others made harmless on a terminal."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import click

from container_executor.secret import Secret

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that move a terminal's cursor, change its state or turn text around; newline and tab are not among them."""


def escape(text: str) -> str:
    r"""Return *text* with control characters written out, ``\x1b``, so that a terminal shows them and obeys none."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)


def on_terminal() -> bool:
    """Return whether the standard output is a terminal."""
    return sys.stdout.isatty()


def write(text: str) -> None:
    """Write a text of somebody else to the standard output: escaped on a terminal, as it is into a pipe or file."""
    shown = escape(text) if on_terminal() else text
    click.echo(shown.encode("utf-8", "backslashreplace"), nl=False)


def note(text: str, *, style: str = "") -> None:
    """Write a line for the user to the standard error; *style* is a mark before it, in colour on a terminal."""
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    mark = click.style(style, fg="red" if style.startswith("error") else "yellow", bold=True) if coloured else style
    click.echo(mark + text, err=True, color=coloured)


def warn(text: str) -> None:
    """Write a warning to the standard error."""
    note(escape(text), style="warning: ")


def write_json(value: Any) -> None:
    """Write *value* as JSON: indented on a terminal, else on one line."""
    click.echo(json.dumps(plain(value), indent=2 if on_terminal() else None, ensure_ascii=on_terminal()).encode())


def write_line(value: Any) -> None:
    """Write *value* as JSON on one line."""
    click.echo(json.dumps(plain(value), ensure_ascii=on_terminal()).encode())


def write_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table: as wide as the terminal, or as wide as it is into a pipe or file."""
    from rich import box  # noqa: PLC0415 - a tenth of a second that only tables need
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    terminal = on_terminal()
    table = Table(*columns, box=box.SIMPLE_HEAD if terminal else None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(escape(cell), overflow="fold") for cell in row))
    console = Console(width=None if terminal else 100_000, highlight=False)
    with console.capture() as printed:
        console.print(table)
    click.echo("".join(f"{line.rstrip()}\n" for line in printed.get().splitlines()).encode(), nl=False)


def write_sheet(pairs: Iterable[tuple[str, str]]) -> None:
    """Write names and values, one pair a line; further lines of a value are indented under its first."""
    shown = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        text = (escape(value) if on_terminal() else value).replace("\n", "\n" + " " * (width + 2))
        click.echo(f"{name:<{width}}  {text}".encode("utf-8", "backslashreplace"))


def plain(value: Any) -> Any:
    """Return *value* as JSON values: times in ISO 8601, durations in seconds, secrets masked."""
    if attrs.has(type(value)):
        return {field.name: plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    for kind, convert in _PLAIN:
        if isinstance(value, kind):
            return convert(value)
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


_PLAIN: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (datetime, datetime.isoformat),
    (timedelta, timedelta.total_seconds),
    (Secret, str),
)


def show_time(moment: datetime | None, now: datetime | None = None) -> str:
    """Return a time on the local clock with its age, ``2026-01-31 12:00:05 (3 min ago)``; "" for None."""
    if moment is None:
        return ""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S} ({show_age(moment, now)})"


def show_age(moment: datetime | None, now: datetime | None = None) -> str:
    """Return how long ago *moment* was, or how far ahead it is, in its largest unit; "" for None."""
    if moment is None:
        return ""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    words = _span(abs(seconds))
    return f"{words} ago" if seconds >= 0 else f"in {words}"


def show_span(span: timedelta | None) -> str:
    """Return a duration in its largest unit; "" for None."""
    return "" if span is None else _span(span.total_seconds())


def _span(seconds: float) -> str:
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {name}"
    return f"{seconds:.0f} s"
