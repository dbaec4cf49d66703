"""A server or engine that is away is asked again ever less often, and not by all daemons at once."""

from itertools import islice

from container_executor.execute.pauses import pauses


def test_pauses_double_up_to_the_longest_and_differ_between_daemons() -> None:
    limits = [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    daemons = [list(islice(pauses(1.0, 8.0), len(limits))) for _ in range(100)]

    for daemon in daemons:
        assert all(limit / 2 <= pause <= limit for pause, limit in zip(daemon, limits, strict=True))
    for one_moment in zip(*daemons, strict=True):
        assert len({round(pause, 6) for pause in one_moment}) > 90
