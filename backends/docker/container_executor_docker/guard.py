"""Ends containers whose lifetime is over, even if the daemon is gone: a small program of its own, one per owner.

It sends TERM once, at the end less the grace, and KILL at the end, and leaves when no container of its owner has an end ahead.
Every submit starts it once its containers are made; a lock lets only one stay. It runs as a plain file and knows nothing of the
rest of this package, so that it stays small. In a container of its own (:mod:`.guard_container`) its name is the lock.
"""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.tls
import requests.exceptions

LABEL = "container-executor"
"""Begins every label of ours."""
OWNER = f"{LABEL}.owner"
GRACE = f"{LABEL}.grace"
"""Seconds between TERM and KILL."""
END = f"{LABEL}.end"
"""When the container is ended: seconds since 1970, for people and for another machine's guard."""
END_BOOT = f"{LABEL}.end-boot"
"""The same on the clock of this boot, with the boot's id: the clock of the day may be set."""

LOOK = 1.0
IDLE_LOOKS = 5
GIVE_UP = 86_400.0
"""Seconds that an engine may be away before its guard leaves; the next submit starts another."""
AWAY = (docker.errors.DockerException, requests.exceptions.RequestException, OSError)

Signals = dict[str, str]
"""The last signal that was sent, by container."""


def end_labels(seconds: float) -> dict[str, str]:
    """Return the labels of a container that is to be ended in so many seconds."""
    boot = time.clock_gettime(time.CLOCK_BOOTTIME) + seconds
    return {END: f"{time.time() + seconds:.3f}", END_BOOT: f"{boot_id()} {boot:.3f}"}


def time_left(labels: Mapping[str, str]) -> float:
    """Return the seconds until the end that the labels tell."""
    boot, _, end = labels.get(END_BOOT, "").partition(" ")
    if boot == boot_id():
        return float(end) - time.clock_gettime(time.CLOCK_BOOTTIME)
    return float(labels[END]) - time.time()


def boot_id() -> str:
    """Return the id of this machine's present boot (random(4))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def booted() -> float:
    """Return when this machine was last started, in seconds since 1970 by the present clock of the day."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def ensure_guard(engine: Mapping[str, str], owner: str, lock: Path) -> None:
    """Start the guard of *owner* unless one is there. It outlives this program.

    Args:
        engine: ``url``, and ``ca``, ``cert``, ``key`` where it speaks TLS.
        owner: Whose containers it ends.
        lock: The file that the one guard holds locked.
    """
    if not _is_free(lock):
        return
    variables = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LD_LIBRARY_PATH")}
    subprocess.run(
        ["sh", "-c", '"$@" &', "sh", sys.executable, "-P", __file__, json.dumps(dict(engine)), owner, str(lock)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        check=True,
        timeout=30,
        env=variables,
        cwd="/",
    )


def _is_free(lock: Path) -> bool:
    with lock.open("w") as file:
        return _try_lock(file)


def _try_lock(file: Any) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def guard(api: Any, owner: str) -> bool:
    """End overdue containers until none of *owner* has an end ahead for a while.

    Returns:
        False where the engine has been away for so long that nobody waits for it any more.
    """
    idle, sent, answered = 0, Signals(), time.monotonic()
    while idle < IDLE_LOOKS and time.monotonic() < answered + GIVE_UP:
        waiting = look(api, owner, sent)
        answered = answered if waiting is None else time.monotonic()
        idle = idle + 1 if waiting == [] else 0
        time.sleep(max(0.05, min([LOOK, *(waiting or ())])))
    return idle >= IDLE_LOOKS


def look(api: Any, owner: str, sent: Signals) -> list[float] | None:
    """Send the signals that are due, and return when the next ones are, in seconds.

    No answer is None: the containers may still be there when the engine is back.
    """
    states = ["created", "running", "paused"]
    try:
        guarded = api.containers(all=True, filters={"label": [f"{OWNER}={owner}", END], "status": states})
    except AWAY:
        return None
    return [wait for container in guarded if (wait := _attend(api, container, sent)) is not None]


def _attend(api: Any, container: Mapping[str, Any], sent: Signals) -> float | None:
    """Signal one container if that is due; return the seconds until the next signal, None where none will be needed."""
    left, grace = time_left(container["Labels"]), float(container["Labels"].get(GRACE, "0"))
    if container["State"] == "created":
        return max(left, LOOK) if left > 0 else None
    if left <= 0:
        _kill(api, container["Id"], "KILL", sent)
        return LOOK
    if left <= grace:
        if sent.get(container["Id"]) is None:
            _kill(api, container["Id"], "TERM", sent)
        return left
    return left - grace


def _kill(api: Any, container: str, word: str, sent: Signals) -> None:
    with contextlib.suppress(*AWAY):  # it has ended meanwhile, or the next look tries again
        api.kill(container, word)
        sent[container] = word


def connect(engine: Mapping[str, str]) -> Any:
    """Return a client of the engine, once it answers: it may be restarting just when its guard starts."""
    tls: Any = False
    if engine.get("ca") or engine.get("cert"):
        pair = (engine["cert"], engine["key"]) if engine.get("cert") else None
        tls = docker.tls.TLSConfig(client_cert=pair, ca_cert=engine.get("ca"), verify=bool(engine.get("ca")))
    until = time.monotonic() + GIVE_UP
    while True:
        try:
            return docker.APIClient(base_url=engine["url"], timeout=30, tls=tls)
        except AWAY:
            if time.monotonic() > until:
                raise
            time.sleep(LOOK)


def main(engine: str, owner: str, lock: str) -> None:
    """Guard, unless somebody else does.

    A submit makes its containers, then looks whether the lock is held. So after giving the lock back there is one more look:
    whoever found it held just before has its containers seen here.
    """
    api = connect(json.loads(engine))
    while True:
        with Path(lock).open("w") as file:
            if not _try_lock(file):
                return
            present = guard(api, owner)
        if not present or look(api, owner, Signals()) == []:
            return


def main_in_container(engine: str, owner: str, name: str) -> None:
    """Guard as the container that has *name*, which is given up before the last look for the reason that :func:`main` tells."""
    api, leaving = connect({"url": engine}), f"{name}-leaving"
    while guard(api, owner):
        if not _renamed(api, name, leaving):
            continue
        if look(api, owner, Signals()) == [] or not _renamed(api, leaving, name):
            break  # nothing is left, or another guard has the name
    with contextlib.suppress(*AWAY):
        api.remove_container(leaving, force=True)  # this very container


def _renamed(api: Any, name: str, other: str) -> bool:
    try:
        api.rename(name, other)
    except AWAY:
        return False
    return True


if __name__ == "__main__":
    (main_in_container if sys.argv[1].startswith("unix://") else main)(*sys.argv[1:4])
