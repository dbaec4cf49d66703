"""All test classes that the mutants test runs: the rigs themselves, and one class per mutant."""

from datetime import timedelta

from container_executor_process import ProcessBackend
from container_executor_spool import SpoolBackend

from container_executor.testing import ScriptedBackend
from tests.mutants import about_jobs, about_output, about_programs, about_sites
from tests.mutants.breaking import MUTANTS
from tests.mutants.rigs import ProcessRig, ScriptedRig, SpoolRig

RIGS = {SpoolBackend: SpoolRig, ProcessBackend: ProcessRig, ScriptedBackend: ScriptedRig}
MODULES = (about_jobs, about_output, about_programs, about_sites)
IMPATIENT = {"patience": timedelta(seconds=4)}
"""A mutant fails by not doing something: how long the suite waits for it."""


class TestSpoolBackend(SpoolRig):
    """The unbroken one."""


class TestProcessBackend(ProcessRig):
    """The unbroken one."""


class TestScriptedBackend(ScriptedRig):
    """The unbroken one."""


for _kind in MUTANTS:
    _rig = next(rig for base, rig in RIGS.items() if issubclass(_kind, base))
    _knobs = getattr(_kind, "knobs", {})
    globals()[f"Test{_kind.__name__}"] = type(f"Test{_kind.__name__}", (_rig,), {**IMPATIENT, **_knobs, "kind": _kind})
