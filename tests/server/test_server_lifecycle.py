"""What happens to processes: deadlines, attempts, executors that come and go, ends that meet."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.server.conftest import Town

COLONY = "town"
WAITING, RUNNING, SUCCESS, FAILED, CANCELLED = range(5)


def test_an_attempt_that_takes_too_long_goes_back_and_the_last_one_fails(town: "Town") -> None:
    processid = town.submit(maxexectime=1, maxretries=1)
    assert town.assign() == processid
    town.eventually(lambda: town.process(processid)["retries"] == 1, "the first attempt's end")
    back = town.process(processid)
    assert (back["state"], back["isassigned"], back["assignedexecutorid"]) == (WAITING, False, "")

    assert town.assign("e2") == processid
    town.eventually(lambda: town.state(processid) == FAILED, "the last attempt's end")

    found = town.process(processid)
    assert found["errors"] == ["Maximum execution time limit exceeded"]
    assert found["retries"] == 1


def test_attempts_without_limit_go_back_for_ever(town: "Town") -> None:
    processid = town.submit(maxexectime=0, maxretries=-1)
    for attempt in (1, 2):
        assert town.assign() == processid
        town.eventually(partial(_has_retries, town, processid, attempt), "the attempt's end")

    assert town.state(processid) == WAITING


def _has_retries(town: "Town", processid: str, count: int) -> bool:
    return bool(town.process(processid)["retries"] == count)


def test_without_a_limit_of_time_nothing_is_taken_back(town: "Town") -> None:
    endless, short = town.submit(maxexectime=-1), town.submit(maxexectime=1, maxretries=0)
    assert {town.assign(), town.assign()} == {endless, short}

    town.eventually(lambda: town.state(short) == FAILED, "the other one's end")

    assert town.state(endless) == RUNNING


def test_waiting_too_long_fails(town: "Town") -> None:
    processid = town.submit(maxwaittime=1)

    town.eventually(lambda: town.state(processid) == FAILED, "the end of the wait")

    assert town.process(processid)["errors"] == ["Maximum waiting time limit exceeded"]


def test_a_close_that_was_acknowledged_is_never_undone_by_the_deadline(town: "Town") -> None:
    processids = [town.submit(maxexectime=1, maxretries=3) for _ in range(60)]
    for _ in processids:
        town.assign()

    def close(processid: str) -> bool:
        status, _, _ = town.raw("e1", "closesuccessfulmsg", processid=processid, out=[])
        return status == 200

    with ThreadPoolExecutor(4) as pool:
        closed = dict(zip(processids, pool.map(close, processids), strict=True))
    last = town.submit(maxexectime=1, maxretries=0)
    while town.assign() != last:
        pass
    town.eventually(lambda: town.state(last) == FAILED, "a later deadline")

    assert {town.state(processid) for processid, yes in closed.items() if yes} <= {SUCCESS}


def test_an_executor_that_falls_silent_is_unregistered_and_its_work_goes_back(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    with start(tmp_path, stale_after=timedelta(seconds=2)) as found:
        town: Town = found.town.settle()
        processid = town.submit()
        assert town.assign("e1") == processid

        def e2_keeps_asking_and_gets_it() -> bool:
            return town.assign("e2") == processid

        town.eventually(e2_keeps_asking_and_gets_it, "the sweep")

        executors = {
            each["executorname"]: each["state"] for each in town.call("user", "getexecutorsmsg", colonyname=COLONY)
        }
        assert executors == {"e1": 3, "e2": 1}
        assert town.refused("e1", "addlogmsg", processid=processid, message="x")[0] == 403
        assert town.process(processid)["retries"] == 0


def test_an_executor_that_never_asked_for_work_is_not_swept(start: Callable[..., Any], tmp_path: Path) -> None:
    with start(tmp_path, stale_after=timedelta(seconds=1)) as found:
        town: Town = found.town.settle()
        town.assign("e1")

        def swept() -> set[str]:
            listed = town.call("user", "getexecutorsmsg", colonyname=COLONY)
            return {each["executorname"] for each in listed if each["state"] == 3}

        town.eventually(lambda: bool(swept()), "the sweep")

        assert swept() == {"e1"}


def test_a_keep_alive_takes_no_work(town: "Town") -> None:
    town.submit()

    assert town.assign(availablecpu="-1m", availablemem="-1Mi") is None

    listed = town.call("user", "getexecutormsg", colonyname=COLONY, executorname="e1")
    assert not listed["lastheardfromtime"].startswith("0001")


def test_removing_an_executor_gives_its_work_to_a_waiting_one(town: "Town") -> None:
    processid = town.submit()
    assert town.assign("e1") == processid
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(town.assign, "e2", 20)
        town.eventually(lambda: bool(_heard(town, "e2")), "the other's poll")
        town.call("owner", "removeexecutormsg", colonyname=COLONY, executorname="e1")

        assert other.result(15) == processid
    assert town.refused("e1", "closesuccessfulmsg", processid=processid, out=[])[0] == 403
    town.close(processid, "e2")


def _heard(town: "Town", name: str) -> bool:
    found = town.call("user", "getexecutormsg", colonyname=COLONY, executorname=name)
    return not found["lastheardfromtime"].startswith("0001")


def test_registering_a_name_again_with_a_new_key_takes_its_work_back(town: "Town") -> None:
    processid = town.submit()
    town.assign("e1")

    town.add_executor("stranger", executorname="e1")

    assert town.state(processid) == WAITING
    assert town.assign("stranger") == processid
    assert town.refused("e1", "assignprocessmsg", colonyname=COLONY, timeout=-1)[0] == 403


def test_a_registered_key_is_not_taken_under_another_name(town: "Town") -> None:
    fields = {"executorid": town.keys["e1"].id, "executorname": "alias", "executortype": "other", "colonyname": COLONY}

    status, message = town.refused("owner", "addexecutormsg", executor=fields)

    assert status == 400
    assert "already belongs to executor <e1>" in message
    assert town.submit() == town.assign("e1")


def test_a_colon_in_a_name_breaks_no_list(town: "Town") -> None:
    town.add_executor("stranger", executorname="a:b:c")

    listed = town.call("user", "getexecutorsmsg", colonyname=COLONY)

    assert [each["executorname"] for each in listed] == ["e1", "e2", "a:b:c"]


def test_an_executor_with_a_new_id_gets_work_and_cannot_close_what_it_had(town: "Town") -> None:
    before = town.submit()
    town.assign("e1")
    town.call("e1", "changeexecutoridmsg", colonyname=COLONY, executorid=town.keys["stranger"].id)
    after = town.submit()
    town.assign("stranger")

    for name in ("e1", "stranger"):
        assert town.refused(name, "closesuccessfulmsg", processid=before, out=[])[0] == 403
    town.close(after, "stranger")
    assert (town.state(before), town.state(after)) == (RUNNING, SUCCESS)


def test_ids_that_are_taken_or_malformed_are_refused(town: "Town") -> None:
    for new in (town.keys["e2"].id, "", "short"):
        assert town.refused("e1", "changeexecutoridmsg", colonyname=COLONY, executorid=new)[0] in (400, 403)
    town.call("user", "changeuseridmsg", colonyname=COLONY, userid=town.keys["stranger"].id)
    assert town.call("stranger", "getusermsg", colonyname=COLONY, name="alice")["userid"] == town.keys["stranger"].id
    town.call("owner", "changecolonyidmsg", colonyname=COLONY, colonyid=town.keys["server"].id)
    assert town.refused("owner", "pauseassignmentsmsg", colonyname=COLONY)[0] == 403


def test_a_refused_close_changes_nothing(town: "Town") -> None:
    processid = town.submit()
    town.assign()
    town.call("e1", "closefailedmsg", processid=processid, errors=["broken"])

    assert town.refused("e1", "closesuccessfulmsg", processid=processid, out=["late"])[0] == 400

    found = town.process(processid)
    assert (found["state"], found["out"], found["errors"]) == (FAILED, [], ["broken"])


def test_a_cancelled_process_can_be_neither_closed_nor_logged_to(town: "Town") -> None:
    processid = town.submit()
    town.assign()
    town.call("user", "cancelprocessmsg", processid=processid)

    assert town.state(processid) == CANCELLED
    assert town.refused("e1", "addlogmsg", processid=processid, message="x")[0] == 403
    assert town.refused("e1", "closefailedmsg", processid=processid, errors=[])[0] == 400


def test_each_priority_step_is_a_day_of_waiting(town: "Town") -> None:
    low, old, high = town.submit(priority=-1), town.submit(), town.submit(priority=1)

    assert [town.assign(), town.assign(), town.assign()] == [high, old, low]


def test_log_times_grow_strictly_and_none_is_missed_by_a_follower(town: "Town") -> None:
    processid = town.submit()
    town.assign()

    def write(number: int) -> None:
        town.call("e1", "addlogmsg", processid=processid, message=f"{number}\n")

    with ThreadPoolExecutor(8) as pool:
        written = pool.map(write, range(200))
        seen: list[Any] = []
        while len(seen) < 200:
            since = seen[-1]["timestamp"] if seen else 0
            seen += town.call("user", "getlogsmsg", processid=processid, count=7, since=since) or []
        list(written)

    assert sorted(int(entry["message"]) for entry in seen) == list(range(200))
    times = [entry["timestamp"] for entry in seen]
    assert times == sorted(set(times))


def test_the_same_executor_name_in_two_colonies_is_two_executors(town: "Town") -> None:
    town.call("server", "addcolonymsg", colony={"colonyid": town.keys["stranger"].id, "name": "village"})
    fields = {
        "executorid": town.keys["e1"].id,
        "executorname": "e1",
        "executortype": "builder",
        "colonyname": "village",
    }
    town.call("stranger", "addexecutormsg", executor=fields)
    processid = town.submit()

    assert town.refused("e1", "assignprocessmsg", colonyname="village", timeout=-1)[0] == 403
    town.call("stranger", "approveexecutormsg", colonyname="village", executorname="e1")
    assert town.refused("e1", "assignprocessmsg", colonyname="village", timeout=-1)[0] == 404
    assert town.assign("e1") == processid
    assert town.refused("stranger", "removeexecutormsg", colonyname=COLONY, executorname="e1")[0] == 403
    town.call("server", "removecolonymsg", colonyname="village")
    assert town.state(processid) == RUNNING


def test_removing_a_colony_leaves_nothing_of_it(town: "Town") -> None:
    processid = town.submit(env={"K": "V"})
    town.assign()
    town.call("e1", "addlogmsg", processid=processid, message="x")
    town.call("server", "removecolonymsg", colonyname=COLONY)
    town.settle()

    assert town.refused("user", "getprocessmsg", processid=processid)[0] == 404
    assert town.call("user", "getcolonystatsmsg", colonyname=COLONY)["runningprocesses"] == 0
    assert town.call("user", "searchlogsmsg", colonyname=COLONY, text="x", days=1, count=10) is None


@pytest.mark.parametrize("filters", [{"executortype": "builder"}, {"label": "red"}, {"initiator": "alice"}], ids=repr)
def test_lists_are_filtered(town: "Town", filters: dict[str, str]) -> None:
    red = town.submit(label="red")
    blue = town.submit({"executortype": "other"}, label="blue")

    listed = town.call("user", "getprocessesmsg", colonyname=COLONY, count=10, state=WAITING, **filters)

    expected = {red, blue} if "initiator" in filters else {red}
    assert {each["processid"] for each in listed} == expected


def test_finished_processes_are_listed_newest_first_and_removed(town: "Town") -> None:
    processids = [town.submit() for _ in range(3)]
    for _ in processids:
        town.close(str(town.assign()))

    listed = town.call("user", "getprocessesmsg", colonyname=COLONY, count=2, state=SUCCESS)
    town.call("owner", "removeallprocessesmsg", colonyname=COLONY, state=SUCCESS)

    assert [each["processid"] for each in listed] == processids[:0:-1]
    assert town.call("user", "getprocessesmsg", colonyname=COLONY, count=2, state=SUCCESS) is None
    assert town.refused("owner", "removeallprocessesmsg", colonyname=COLONY, state=RUNNING)[0] == 400
    assert town.refused("owner", "removeallprocessesmsg", colonyname=COLONY, state=9)[0] == 400


def test_functions_count_what_ended_well(town: "Town") -> None:
    fun = {"executorname": "e1", "executortype": "builder", "colonyname": COLONY, "funcname": "execute"}
    functionid = town.call("e1", "addfunctionmsg", fun=fun)["functionid"]
    for _ in range(2):
        town.submit(funcname="execute")
        town.close(str(town.assign()))

    found = town.call("user", "getfunctionsmsg", colonyname=COLONY, executorname="")

    assert [each["counter"] for each in found] == [2]
    assert 0 < found[0]["minexectime"] <= found[0]["avgexectime"] <= found[0]["maxexectime"]
    assert town.refused("e2", "removefunctionmsg", functionid=functionid)[0] == 403
    town.call("e1", "removefunctionmsg", functionid=functionid)
    assert town.call("user", "getfunctionsmsg", colonyname=COLONY, executorname="e1") is None
