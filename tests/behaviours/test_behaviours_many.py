"""Many jobs through one daemon: every outcome is right, and nothing of them stays behind in it."""

from colonies import Colony, DaemonProgram, wait_for

from container_executor.client import ProcessState

JOBS = 300
MORE_MEMORY = 20 * 2**20
MORE_THREADS = 2


def test_three_hundred_jobs_leave_the_daemon_as_it_was(colony: Colony, daemon: DaemonProgram) -> None:
    daemon.start()
    wait_for(lambda: '"running"' in daemon.log(), "its registration")
    memory, threads = daemon.weight()
    lines = ("echo fine", "echo bad; exit 3", "kill -KILL $$", "/no/such/program")
    ids = [colony.submit(lines[number % 4]) for number in range(JOBS)]

    for number, process_id in enumerate(ids):
        ended = colony.wait(process_id, patience=180)
        assert ended.state is (ProcessState.FAILED if number % 4 else ProcessState.SUCCESS)
        assert colony.outcome(process_id)["exitcode"] == ("0", "3", "137", "127")[number % 4]
        assert colony.output(process_id)[:1] == (["fine"], ["bad"], [], colony.output(process_id)[:1])[number % 4]
    wait_for(daemon.idle, "nothing left of the jobs")

    assert daemon.health()["live"] == 0
    wait_for(lambda: daemon.weight()[1] <= threads + MORE_THREADS, f"not more than {threads} + {MORE_THREADS} threads")
    assert daemon.weight()[0] <= memory + MORE_MEMORY
