"""The server's time, known through the Date of its answers."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from container_executor.client import Client
from container_executor.client.clock import ServerClock, boot_time, parse_time
from tests.client.conftest import PROCESS, Script, envelope, process_json, raw

LONG_AGO = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)


def _date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


def test_the_servers_time_is_taken_from_its_answers_whatever_the_local_clock_says(script: Script) -> None:
    script.answer("getprocessmsg", raw(envelope("getprocessmsg", process_json()), Date=_date(LONG_AGO)))

    async def ask(client: Client) -> datetime:
        await client.process(PROCESS)
        return client.server_now()

    now = script.run(ask)

    assert timedelta(0) <= now - LONG_AGO < timedelta(seconds=PATIENCE)
    assert now.tzinfo is UTC


PATIENCE = 20


def test_clients_of_a_family_share_what_they_know_of_the_time(script: Script) -> None:
    script.answer("getprocessmsg", raw(envelope("getprocessmsg", process_json()), Date=_date(LONG_AGO)))

    async def ask(client: Client) -> datetime:
        await client.as_(client.identity).process(PROCESS)
        return client.server_now()

    assert script.run(ask).year == 2001


def test_before_the_first_answer_the_local_clock_stands_in() -> None:
    before = datetime.now(UTC)

    assert before <= ServerClock().now() <= datetime.now(UTC)


def test_several_answers_tell_the_time_better_than_whole_seconds() -> None:
    """Answers at .25 and .75 of the server's second bound the difference to a quarter of a second each way."""
    clock = ServerClock()
    base = boot_time()
    for offset in (0.25, 0.5, 0.75, 1.25, 1.99):
        date = LONG_AGO + timedelta(seconds=int(offset))
        clock.saw(_date(date), base + offset, base + offset + 0.001)

    truth = LONG_AGO + timedelta(seconds=boot_time() - base)

    assert abs(clock.now() - truth) < timedelta(seconds=0.2)


def test_a_slow_answer_does_not_spoil_what_is_known() -> None:
    clock = ServerClock()
    base = boot_time() - 100
    for offset in (0.01, 0.99):
        clock.saw(_date(LONG_AGO), base + offset, base + offset + 0.001)
    clock.saw(_date(LONG_AGO + timedelta(seconds=15)), base + 1, base + 16)

    truth = LONG_AGO + timedelta(seconds=boot_time() - base)

    assert abs(clock.now() - truth) < timedelta(seconds=0.1)


def test_when_the_servers_clock_is_set_the_newest_answer_counts() -> None:
    clock = ServerClock()
    base = boot_time()
    clock.saw(_date(LONG_AGO), base, base)
    clock.saw(_date(LONG_AGO + timedelta(hours=1)), base, base)

    assert timedelta(minutes=59) < clock.now() - LONG_AGO < timedelta(minutes=61)


@pytest.mark.parametrize(
    "date",
    [
        "",
        "yesterday",
        "\0",
        "Sat, 99 Nov 2026 11:51:41 GMT",
        "Sat, 21 Nov 99999 11:51:41 GMT",
        "Sat, 21 Nov 9999 23:59:59 GMT",
    ],
)
def test_a_date_that_is_none_is_passed_over(date: str) -> None:
    clock = ServerClock()
    clock.saw(_date(LONG_AGO), boot_time(), boot_time())

    clock.saw(date, boot_time(), boot_time())

    assert clock.now().year == 2001


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.1Z", datetime(2026, 1, 2, 3, 4, 5, 100_000, UTC)),
        ("2026-01-02T03:04:05.123456789Z", datetime(2026, 1, 2, 3, 4, 5, 123_456, UTC)),
        ("2026-01-02T03:04:05+01:00", datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05-05:00", datetime(2026, 1, 2, 8, 4, 5, tzinfo=UTC)),
    ],
)
def test_times_are_read_in_utc_whatever_zone_the_server_lives_in(text: str, moment: datetime) -> None:
    assert parse_time(text) == moment
