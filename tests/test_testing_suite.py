"""The conformance suite finds what is wrong: each of its cases fails on a backend that is broken in that way, and passes before."""

import contextlib
import inspect
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[1]
PATHS = [ROOT, ROOT / "examples" / "backend", ROOT / "backends" / "process"]
AT_ONCE = 8
"""The cases wait more than they work."""

TOO_LONG = 180
"""Seconds after which a case is ended, with the stack of each of its threads printed."""

for path in map(str, PATHS):
    if path not in sys.path:
        sys.path.append(path)

from container_executor.testing import BackendConformance  # noqa: E402
from tests.mutants.breaking import MUTANTS  # noqa: E402
from tests.mutants.run import RIGS  # noqa: E402

CASES = sorted(name for name, _ in inspect.getmembers(BackendConformance) if name.startswith("test_"))
BROKEN = sorted((case, kind.__name__) for kind, cases in MUTANTS.items() for case in cases)


def rig_of(mutant: str) -> str:
    """Return the test class that runs the cases on the unbroken backend of a mutant."""
    kind = next(kind for kind in MUTANTS if kind.__name__ == mutant)
    return next(f"Test{base.__name__}" for base in RIGS if issubclass(kind, base))


def run(wanted: list[str], report: Path) -> dict[tuple[str, str], set[str]]:
    """Run cases of ``tests/mutants/run.py`` and return how each ended: passed, failed, error or skipped."""
    module = ROOT / "tests" / "mutants" / "run.py"
    argv = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", f"--junit-xml={report}"]
    argv += ["-o", f"faulthandler_timeout={TOO_LONG}", "-o", "faulthandler_exit_on_timeout=true"]
    argv += [f"--basetemp={report.with_suffix('')}", *(f"{module}::{name}" for name in wanted)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PATHS))}
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert report.exists(), done.stdout + done.stderr  # a case that takes too long ends them all
    assert done.returncode in (0, 1), done.stdout + done.stderr
    ends: dict[tuple[str, str], set[str]] = {}
    for case in ET.parse(report).iter("testcase"):
        key = (case.attrib["classname"].rpartition(".")[2], case.attrib["name"].partition("[")[0])
        ends.setdefault(key, set()).update([child.tag for child in case] or ["passed"])
    return ends


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, str], set[str]]:
    """How every case ended on the backend that is broken for it, and on the same backend unbroken."""
    place = tmp_path_factory.mktemp("mutants")
    wanted = sorted({f"Test{mutant}::{case}" for case, mutant in BROKEN} | {f"{rig_of(m)}::{c}" for c, m in BROKEN})
    shares = [wanted[number::AT_ONCE] for number in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        reports = [place / f"{number}.xml" for number in range(AT_ONCE)]
        found: dict[tuple[str, str], set[str]] = {}
        for part in threads.map(run, shares, reports):
            for key, how in part.items():
                found.setdefault(key, set()).update(how)
    end_leftovers(place)
    return found


def end_leftovers(place: Path) -> None:
    """End what broken backends have left running: programs that name *place*, or are there."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            known = process.joinpath("cmdline").read_bytes() + os.fsencode(process.joinpath("cwd").readlink())
            if os.fsencode(place) in known:
                os.kill(int(process.name), signal.SIGKILL)


def test_every_case_has_a_backend_that_it_catches() -> None:
    assert sorted({case for case, _ in BROKEN}) == CASES


@pytest.mark.parametrize(("case", "mutant"), BROKEN)
def test_a_case_fails_on_a_broken_backend_and_passes_on_a_good_one(
    ends: Mapping[tuple[str, str], set[str]], case: str, mutant: str
) -> None:
    assert "failure" in ends[f"Test{mutant}", case], ends[f"Test{mutant}", case]
    assert ends[rig_of(mutant), case] <= {"passed", "skipped"}, ends[rig_of(mutant), case]
    assert "passed" in ends[rig_of(mutant), case]
