"""What is promised to whom."""

from container_executor.execute.capacity import Ledger, Need, Told, fits, lacking
from container_executor.models import Capacity, JobSpec


def test_all_ranks_of_a_job_count() -> None:
    job = JobSpec("busybox", ("true",), nodes=2, processes_per_node=3, cpu=500, memory=100, gpus=1)

    assert Need.of(job) == Need(3000, 600, 6)


def test_what_is_promised_is_not_free_and_what_is_given_back_is() -> None:
    ledger = Ledger(10, site=Capacity(cpu=1000))

    assert ledger.try_promise("a", Need(cpu=600))
    assert ledger.free().cpu == 400
    assert not ledger.try_promise("b", Need(cpu=600))
    ledger.give_back("a")
    assert ledger.try_promise("b", Need(cpu=600))


def test_nothing_new_is_claimed_while_a_claimed_process_waits_for_room() -> None:
    ledger = Ledger(10, site=Capacity(cpu=1000))
    ledger.try_promise("a", Need(cpu=600))
    ledger.try_promise("b", Need(cpu=600))

    assert ledger.full
    ledger.give_back("b")
    assert not ledger.full


def test_places_are_bounded() -> None:
    ledger = Ledger(1)

    assert not ledger.full
    ledger.take_place("a")
    assert ledger.full


def test_a_job_that_the_engine_counts_itself_is_not_counted_twice() -> None:
    ledger = Ledger(10)
    ledger.tell(Told(free=Capacity(cpu=1000)))
    ledger.try_promise("a", Need(cpu=600))
    assert ledger.free().cpu == 400

    ledger.launched("a")
    assert ledger.free().cpu == 400, "the engine was asked before the job was on it"
    ledger.tell(Told(free=Capacity(cpu=400), counted=ledger.on_engine))

    assert ledger.free().cpu == 400


def test_what_is_in_use_now_makes_no_job_impossible() -> None:
    ledger = Ledger(10, site=Capacity(cpu=4000, gpus=1))
    ledger.tell(Told(free=Capacity(cpu=500, memory=0), total=Capacity(cpu=2000, memory=2**30)))
    ledger.try_promise("a", Need(cpu=500))

    assert ledger.most() == Capacity(cpu=2000, memory=2**30, gpus=1)


def test_what_other_tenants_take_is_not_offered() -> None:
    ledger = Ledger(10, site=Capacity(cpu=4000))
    ledger.tell(Told(free=Capacity(cpu=1500)))

    assert ledger.free().cpu == 1500


def test_what_is_lacking_is_named() -> None:
    assert not fits(Need(gpus=2), Capacity(gpus=1))
    assert lacking(Need(gpus=2), Capacity(gpus=1)) == "gpus 2 of 1 GPUs"
