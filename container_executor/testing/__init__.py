"""For authors of backends, and for tests of what stands above them: the conformance suite and the scripted backend."""

from container_executor.testing.programs import Exit, Program, Rank, Script, Terminated, succeed
from container_executor.testing.scripted import ScriptedBackend, ScriptedEngine

__all__ = [
    "Exit",
    "Program",
    "Rank",
    "Script",
    "ScriptedBackend",
    "ScriptedEngine",
    "Terminated",
    "succeed",
]
