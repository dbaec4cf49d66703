"""The second Docker engine of the tests, which they may break; one test at a time has it."""

import fcntl
import gc
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from docker_support import Spare


@contextmanager
def spare_engine(engine: Mapping[str, str]) -> Iterator[Spare]:
    """Yield what calls the second engine; what it prints is its address. It is down before and after."""
    program = engine.get("CE_DOCKER_SPARE") or str(Path(engine["CE_DOCKER_DAEMON"]).with_name("spare"))

    def call(word: str) -> str:
        done = subprocess.run([program, word], check=True, capture_output=True, text=True, timeout=90)
        return done.stdout.strip()

    with (Path(tempfile.gettempdir()) / "container-executor-docker-spare.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # there is one on a machine, whoever else runs these tests
        call("down")
        yield call
        gc.collect()
        call("down")
