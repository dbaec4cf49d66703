"""Who gets what: the rules alone, without a server."""

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_executor.server.matching import UNLIMITED, Offer, first, fits
from container_executor.server.process import Process
from container_executor.server.refusal import Refused
from container_executor.server.spec import FUNCTION_SPEC, memory_bytes, millicores, settle

OFFER = Offer("dev", "kind", "edge-1", "Kista", 4000, 2**34)
_TEXTS = {"executornames": "null", "parents": "[]", "children": "[]"}


def process(**over: Any) -> Process:
    """Return a waiting process that anybody of the kind may have."""
    blank = {field.name: _TEXTS.get(field.name, "" if field.type is str else 0) for field in attrs.fields(Process)}
    return Process(**{**blank, "colony": "dev", "executortype": "kind", **over})


def test_an_unconditional_process_fits() -> None:
    assert fits(process(), OFFER)


@pytest.mark.parametrize(
    "condition",
    [
        {"colony": "other"},
        {"executortype": "Kind"},
        {"state": 1},
        {"waitforparents": 1},
        {"cpu": 4001},
        {"memory": 2**34 + 1},
        {"nodes": 128},
        {"processes": 128},
        {"processespernode": 128},
        {"location": "elsewhere"},
        {"executornames": '["edge-2"]'},
    ],
    ids=repr,
)
def test_one_unmet_condition_is_enough_not_to_fit(condition: dict[str, Any]) -> None:
    assert not fits(process(**condition), OFFER)


@pytest.mark.parametrize(
    "condition",
    [
        {"cpu": 4000, "memory": 2**34, "nodes": 127},
        {"location": "KISTA"},
        {"executornames": '["edge-2","edge-1"]'},
        {"executornames": '["*"]'},
        {"executornames": "[]"},
    ],
    ids=repr,
)
def test_a_met_condition_fits(condition: dict[str, Any]) -> None:
    assert fits(process(**condition), OFFER)


def test_an_executor_that_offers_less_than_nothing_gets_nothing() -> None:
    assert not fits(process(), attrs.evolve(OFFER, cpu=-1, memory=-(2**20)))


def test_an_executor_without_location_gets_no_located_work() -> None:
    assert not fits(process(location="Kista"), attrs.evolve(OFFER, location=""))


def test_the_first_that_fits_is_taken_and_no_further_one_is_read() -> None:
    def waiting() -> Any:
        yield process(processid="big", cpu=9000)
        yield process(processid="small")
        raise AssertionError("read too far")

    found = first(waiting(), OFFER)

    assert found is not None
    assert found.processid == "small"


@given(cpu=st.integers(0, UNLIMITED), memory=st.integers(0, UNLIMITED))
def test_nothing_is_too_large_for_an_unlimited_offer(cpu: int, memory: int) -> None:
    assert fits(process(cpu=cpu, memory=memory), attrs.evolve(OFFER, cpu=UNLIMITED, memory=UNLIMITED))


@pytest.mark.parametrize(("text", "found"), [("500m", 500), ("2", 0), ("0.5", 0), ("", 0), ("-1m", -1)])
def test_only_millicores_are_read(text: str, found: int) -> None:
    assert millicores(text) == found


@pytest.mark.parametrize("text", ["x1m", "500.5m", "m", "1_0m", "\u0661m"])
def test_what_is_no_number_of_millicores_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="Error converting CPU to int"):
        millicores(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [("", 0), ("1Ki", 1024), ("1KiB", 1024), ("2Mi", 2**21), ("1Gi", 2**30), ("1TiB", 2**40), ("1G", 10**9), ("1KB", 1000),
     ("1MB", 10**6), ("-1Mi", -(2**20))],
)  # fmt: skip
def test_sizes_are_read_with_their_units(text: str, found: int) -> None:
    assert memory_bytes(text) == found


@pytest.mark.parametrize("text", ["1024", "0", "1.5Gi", "1 Gi", "1gi", "1GB", "1Ti", "1T", "1B", "Gi", "9999999999Gi"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(Refused, match="error converting memory to int"):
        memory_bytes(text)


def test_sizes_come_back_in_whole_mebibytes() -> None:
    spec = FUNCTION_SPEC({"conditions": {"mem": "1G", "storage": "1K", "gpu": {"mem": "1Gi", "nodecount": 3}}})

    settle(spec)

    conditions = spec["conditions"]
    assert (conditions["mem"], conditions["storage"], conditions["cpu"]) == ("953Mi", "0Mi", "0m")
    assert conditions["gpu"] == {"name": "", "mem": "1024Mi", "count": 0, "nodecount": 0}
