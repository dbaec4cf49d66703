"""Quantities: what people write, what the old executors took, and what the server takes."""

import re
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container_executor.units import (
    LARGEST,
    format_cpu,
    format_duration,
    format_memory,
    format_size,
    parse_cpu,
    parse_memory,
)

PATIENT = settings(deadline=None)  # the machine may be busy


@pytest.mark.parametrize(
    ("text", "millicores"),
    [
        ("10m", 10),
        ("2000m", 2000),
        ("2400m", 2400),
        ("999m", 999),
        ("1000m", 1000),
        ("1001m", 1001),
        ("100m", 100),
        ("1m", 1),
        ("0m", 0),
        ("00m", 0),
        ("1.5m", 2),
        ("2", 2000),
        ("2000", 2_000_000),
        ("10", 10_000),
        ("0.5", 500),
        (".5", 500),
        ("1.5", 1500),
        ("0.0001", 1),
        (" 500m ", 500),
    ],
)
def test_cores_become_millicores_rounded_up(text: str, millicores: int) -> None:
    assert parse_cpu(text) == millicores


@pytest.mark.parametrize(
    "text", ["", " ", "m", "abcm", "x1m", "2000M", "-10000m", "-1", "1e3", "1,5", "5.", "1 m", "0x10"]
)
def test_what_is_no_number_of_cores_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no number of cores; write 500m, 2 or 0\.5"):
        parse_cpu(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1Mi", 2**20),
        ("1000Mi", 1000 * 2**20),
        ("1500Mi", 1500 * 2**20),
        ("1Gi", 2**30),
        ("0.5Gi", 2**29),
        ("1.5Gi", 3 * 2**29),
        ("1Ti", 2**40),
        ("1024Ki", 2**20),
        ("0Gi", 0),
        ("1K", 1000),
        ("1M", 10**6),
        ("1G", 10**9),
        ("10G", 10**10),
        ("1T", 10**12),
        ("10GB", 10**10),
        ("2000MB", 2 * 10**9),
        ("1KB", 1000),
        ("1Kb", 1000),
        ("1Gb", 10**9),
        ("2GiB", 2**31),
        ("1000Mib", 1000 * 2**20),
        ("1gi", 2**30),
        ("1 Gi", 2**30),
        ("1B", 1),
        ("1", 1),
        ("0.1Ki", 103),
    ],
)
def test_sizes_are_never_off_by_1024_over_1000(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    "text", ["", "aMi", "-1Gi", "-1", "1XYZ", "1Pi", "Gi", "1.Gi", "1e3Mi", "1,5Gi", "1GiGi", "1  Gi"]
)
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no size; write 512Mi, 1Gi"):
        parse_memory(text)


@pytest.mark.parametrize("parse", [parse_cpu, parse_memory])
@pytest.mark.parametrize("text", ["9" * 40, "9" * 2_000_000, "9" * 40 + ".5"])
def test_a_quantity_larger_than_any_machine_is_refused_in_few_words(parse: object, text: str) -> None:
    assert callable(parse)
    with pytest.raises(ValueError, match=r"is larger than any machine|has too many digits") as raised:
        parse(text)

    assert len(str(raised.value)) < 120


@PATIENT
@given(st.text(max_size=30))
def test_any_text_is_a_quantity_or_a_value_error(text: str) -> None:
    for parse in (parse_cpu, parse_memory):
        try:
            quantity = parse(text)
        except ValueError:
            continue
        assert 0 <= quantity <= LARGEST


@PATIENT
@given(st.integers(min_value=0, max_value=2**43))
def test_what_is_formatted_for_the_server_is_read_back(quantity: int) -> None:
    assert parse_cpu(format_cpu(quantity)) == quantity
    assert 0 <= parse_memory(format_memory(quantity)) - quantity < 2**20


def test_sizes_for_the_server_are_whole_mib_rounded_up() -> None:
    assert [format_memory(size) for size in (0, 1, 2**20, 2**20 + 1, 10**9)] == ["0Mi", "1Mi", "1Mi", "2Mi", "954Mi"]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**20, "1.0 MiB"), (3 * 2**29, "1.5 GiB"), (2**41, "2.0 TiB")],
)
def test_sizes_for_people_have_binary_units(size: int, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.84, "0.8 s"),
        (9.5, "9.5 s"),
        (12.2, "12 s"),
        (125, "2 min 5 s"),
        (11040, "3 h 4 min"),
        (604800, "168 h 0 min"),
    ],
)
def test_durations_for_people_have_two_units_at_most(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text
    assert re.fullmatch(r"[\d.]+ \w+( \d+ \w+)?", text)
