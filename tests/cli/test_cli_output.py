"""What is printed is harmless on a terminal, whole in a pipe, and readable to programs."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest

from container_executor.cli.output import escape, plain, show_age, show_span, show_time
from container_executor.cli.specs import change
from container_executor.secret import Secret

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢 👍\ttab\nline", "plain é 漢 👍\ttab\nline"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\r over", r"\r over"),
        ("\x07\x00\x7f", r"\x07\x00\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202eevil\u2066", r"\u202eevil\u2066"),
        ("\ud800", r"\ud800"),
    ],
)
def test_characters_that_rule_a_terminal_are_written_out(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_values_become_json_with_secrets_masked() -> None:
    @attrs.frozen
    class Value:
        at: datetime = NOW
        span: timedelta = timedelta(minutes=1)
        key: Secret = attrs.field(factory=lambda: Secret("hidden"))
        path: Path = Path("/x")
        nested: tuple[dict[str, object], ...] = ({"a": None},)

    assert json.loads(json.dumps(plain(Value()))) == {
        "at": "2026-01-31T12:00:00+00:00",
        "span": 60.0,
        "key": "***",
        "path": "/x",
        "nested": [{"a": None}],
    }


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s ago"), (59, "59 s ago"), (60, "1 min ago"), (7200, "2 h ago"), (200_000, "2 d ago"), (-90, "in 1 min")],
)
def test_ages_are_told_in_their_largest_unit(seconds: float, words: str) -> None:
    assert show_age(NOW - timedelta(seconds=seconds), NOW) == words


def test_times_are_local_with_their_age(monkeypatch: pytest.MonkeyPatch) -> None:
    local = (NOW - timedelta(minutes=3)).astimezone()

    assert show_time(NOW - timedelta(minutes=3), NOW) == f"{local:%Y-%m-%d %H:%M:%S} (3 min ago)"
    assert show_time(None) == show_age(None) == show_span(None) == ""


# --- --set ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("label", "x", {"label": "x"}),
        ("conditions.mem", "1Gi", {"conditions": {"mem": "1Gi"}}),
        ("conditions.gpu.count", "2", {"conditions": {"gpu": {"count": 2}}}),
        ("kwargs.args[0]", "a b", {"kwargs": {"args": ["a b"]}}),
        ("kwargs.args", '["a", 1]', {"kwargs": {"args": ["a", 1]}}),
        ("fs.dirs[0].keepfiles", "true", {"fs": {"dirs": [{"keepfiles": True}]}}),
        ("env.A", "", {"env": {"A": ""}}),
        ("kwargs.init-cmd", "x=1; y", {"kwargs": {"init-cmd": "x=1; y"}}),
    ],
)
def test_a_change_makes_what_leads_to_it(path: str, value: str, expected: object) -> None:
    document: dict[str, object] = {}

    change(document, path, value)

    assert document == expected


def test_changes_replace_append_and_reach_into_lists() -> None:
    document = {"args": ["a"], "dirs": [{"x": 1}], "none": None}

    for path, value in (("args[0]", "b"), ("args.1", "c"), ("dirs[0].x", "2"), ("none.y", "3")):
        change(document, path, value)

    assert document == {"args": ["b", "c"], "dirs": [{"x": 2}], "none": {"y": 3}}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "is no path"),
        ("a]b", "is no path"),
        ("args[2]", "the list has 1 items; expected an index from 0 to 1, not 2"),
        ("args.x", "expected an index"),
        ("args[2].x", "expected an index from 0 to 1, not 2"),
        ("text.x", "x would be a part of a text, which has none"),
        ("text[0].y", "0 would be a part of a text"),
    ],
)
def test_a_change_that_leads_nowhere_is_refused(path: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("[", r"\[")):
        change({"args": ["a"], "text": "t"}, path, "1")
