"""Threads that share memory or places never hold more than there is, and none is left waiting for ever."""

import threading
from concurrent.futures import ThreadPoolExecutor

from colonies import wait_for

from container_executor.cfs.budget import Budget


def test_never_is_more_held_than_there_is() -> None:
    budget, held, most, lock = Budget(10), [0], [0], threading.Lock()

    def count(size: int) -> None:
        with lock:
            held[0] += size
            most[0] = max(most[0], held[0])

    def use(size: int) -> None:
        with budget.taking(size):
            count(min(size, 10))
            count(-min(size, 10))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(use, [1, 3, 10, 4, 25] * 200))

    assert 0 < most[0] <= 10


def test_one_that_wants_much_is_not_overtaken_by_those_that_want_little() -> None:
    budget, served = Budget(4), list[str]()

    def use(name: str, size: int) -> None:
        with budget.taking(size):
            served.append(name)

    with ThreadPoolExecutor(2) as threads, budget.taking(1):
        threads.submit(use, "much", 4)
        wait_for(lambda: len(budget._waiting) == 1, "the first in the queue")
        threads.submit(use, "little", 1)
        wait_for(lambda: len(budget._waiting) == 2, "the second in the queue")

        assert served == []

    assert served == ["much", "little"]
