"""Waiting for work: every executor that could take a process is woken, whoever else waits."""

import json
import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from container_executor.client.signing import Identity

if TYPE_CHECKING:
    from tests.server.conftest import Town

COLONY = "town"
LONG = 25


def polls(town: "Town", pool: ThreadPoolExecutor, who: str, **offer: str) -> "Future[str | None]":
    """Start a poll and return once the server has noted it."""
    before = heard(town, who)
    found = pool.submit(town.assign, who, LONG, **offer)
    town.eventually(lambda: heard(town, who) != before, "the poll")
    return found


def heard(town: "Town", name: str) -> str:
    found = town.call("user", "getexecutormsg", colonyname=COLONY, executorname=name)
    time: str = found["lastheardfromtime"]
    return time


def test_work_for_one_name_wakes_that_one_and_not_the_first_in_line(town: "Town") -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = polls(town, pool, "e1"), polls(town, pool, "e2")
        for_second = town.submit({"executornames": ["e2"]})
        assert second.result(10) == for_second

        for_first = town.submit()
        assert first.result(10) == for_first


def test_large_work_wakes_the_large_executor(town: "Town") -> None:
    with ThreadPoolExecutor(2) as pool:
        small, large = polls(town, pool, "e1", availablecpu="100m"), polls(town, pool, "e2", availablecpu="8000m")
        big = town.submit({"cpu": "4000m"})
        assert large.result(10) == big

        little = town.submit({"cpu": "50m"})
        assert small.result(10) == little


def test_another_colony_s_executor_takes_no_wake_up_away(town: "Town") -> None:
    other = Identity.new()
    town.keys["other"] = other
    town.call("server", "addcolonymsg", colony={"colonyid": town.keys["stranger"].id, "name": "village"})
    fields = {"executorid": other.id, "executorname": "x", "executortype": "builder", "colonyname": "village"}
    town.call("stranger", "addexecutormsg", executor=fields)
    town.call("stranger", "approveexecutormsg", colonyname="village", executorname="x")
    with ThreadPoolExecutor(2) as pool:
        foreign = pool.submit(town.raw, "other", "assignprocessmsg", colonyname="village", timeout=3)
        mine = polls(town, pool, "e1")
        processid = town.submit()

        assert mine.result(10) == processid
        assert foreign.result(10)[0] == 404


def test_one_process_goes_to_one_of_many_polls_and_each_poll_gets_another(town: "Town") -> None:
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(town.assign, "e1", LONG) for _ in range(8)]
        submitted = {town.submit() for _ in range(8)}

        assert {each.result(20) for each in found} == submitted


def test_a_poll_without_work_ends_with_no(town: "Town") -> None:
    assert town.refused("e1", "assignprocessmsg", colonyname=COLONY, timeout=1) == (
        404,
        "No process available for assignment",
    )


def test_a_paused_colony_gives_nothing_and_wakes_its_polls_when_it_goes_on(town: "Town") -> None:
    town.call("owner", "pauseassignmentsmsg", colonyname=COLONY)
    processid = town.submit()
    assert town.refused("e1", "assignprocessmsg", colonyname=COLONY, timeout=-1)[0] == 503
    assert town.refused("e1", "assignprocessmsg", colonyname=COLONY, timeout=1)[0] == 408
    with ThreadPoolExecutor(1) as pool:
        poll = polls(town, pool, "e1")
        town.call("owner", "resumeassignmentsmsg", colonyname=COLONY)

        assert poll.result(10) == processid
    assert not town.call("user", "getpausestatusmsg", colonyname=COLONY)["ispaused"]


def test_pausing_concerns_one_colony(town: "Town") -> None:
    town.call("owner", "pauseassignmentsmsg", colonyname=COLONY)
    town.call("server", "addcolonymsg", colony={"colonyid": town.keys["owner"].id, "name": "village"})
    fields = {
        "executorid": town.keys["e1"].id,
        "executorname": "e1",
        "executortype": "builder",
        "colonyname": "village",
    }
    town.call("owner", "addexecutormsg", executor=fields)
    town.call("owner", "approveexecutormsg", colonyname="village", executorname="e1")

    assert town.refused("e1", "assignprocessmsg", colonyname="village", timeout=-1)[0] == 404


def test_a_poll_whose_client_has_gone_takes_no_work(town: "Town", connect: Callable[[int], socket.socket]) -> None:
    from base64 import b64encode

    payload = b64encode(json.dumps({"msgtype": "assignprocessmsg", "colonyname": COLONY, "timeout": LONG}).encode())
    envelope = {
        "payloadtype": "assignprocessmsg",
        "payload": payload.decode(),
        "signature": town.keys["e1"].sign(payload),
    }
    body = json.dumps(envelope).encode()
    links = [connect(town.port) for _ in range(5)]
    before = heard(town, "e1")
    for link in links:
        link.sendall(b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    town.eventually(lambda: heard(town, "e1") != before, "the polls")
    for link in links:
        link.close()
    town.eventually(lambda: town.post(b"", "/health", "GET")[0] == 200, "an answer")

    processid = town.submit()

    assert town.assign("e2") == processid


def test_a_server_stops_while_polls_wait(start: Callable[..., Any], tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        with start(tmp_path) as found:
            town: Town = found.town.settle()
            before = heard(town, "e1")
            poll = pool.submit(town.assign, "e1", 3600)
            town.eventually(lambda: heard(town, "e1") != before, "the poll")

        with pytest.raises((OSError, HTTPException)):
            poll.result(20)
