"""Everything that is checked, and how: ``nox`` runs all that can run here, ``nox -s NAME`` one part, ``nox -l`` lists them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "typing", "tests", "wheel"]

ROOT = Path(__file__).parent
ENGINES = ROOT / "tests" / "engines"
PATHS = ("container_executor", "backends", "tests", "benchmarks", "examples", "conftest.py", "noxfile.py")
TOOLS = ("codespell", "import-linter>=2.1", "ruff>=0.8")
TYPES = ("hypothesis>=6.115", "mypy>=1.13", "nox>=2024.10", "pyright[nodejs]>=1.1.390", "pytest>=9", "types-docker")
TESTS = ("hypothesis>=6.115", "pytest>=9", "pytest-cov>=6", "pytest-xdist>=3.6")
AT_ONCE = 4
"""Test processes: tests wait for engines, servers and clocks more than they work."""
FAILURES_AT_MOST = 60
"""With an engine gone, thousands of tests would fail one after the other, each after its time limit."""


@nox.session
def lint(session: nox.Session) -> None:
    """Style, import rules and spelling."""
    session.install(*TOOLS, "-e", ".[all,testing]")
    session.run("ruff", "check", *PATHS)
    session.run("ruff", "format", "--check", *PATHS)
    session.run("lint-imports")
    session.run("codespell")


@nox.session
def typing(session: nox.Session) -> None:
    """Types, by two checkers."""
    session.install(*TYPES, "-e", ".[all,testing]")
    session.run("mypy")
    session.run("pyright", "--pythonpath", str(Path(session.bin, "python")))


@nox.session
def tests(session: nox.Session) -> None:
    """All tests that can run here; what needs an engine that is not up is skipped, unless CE_REQUIRE_ENGINES names it."""
    session.install(*TESTS, "-e", ".[all,testing]", "-e", "examples/backend")
    for line in _engines_missing():
        session.log(line)
    together = ("-n", str(AT_ONCE), f"--maxfail={FAILURES_AT_MOST}", "--cov", "--cov-report=")
    session.run("pytest", "-q", "--durations=25", *together, *session.posargs)
    session.run("coverage", "report", "--format=total")


@nox.session
def wheel(session: nox.Session) -> None:
    """The built wheel, installed alone: backends are found, an engine's missing SDK is one sentence, a job runs."""
    session.install("build")
    out = Path(session.create_tmp())
    shutil.rmtree(out / "dist", ignore_errors=True)
    session.run("python", "-m", "build", "--wheel", "--outdir", str(out / "dist"), silent=True)
    session.run("python", "-m", "venv", "--clear", str(out / "venv"))
    python = str(out / "venv" / "bin" / "python")
    session.run(python, "-m", "pip", "install", "-q", *map(str, (out / "dist").glob("*.whl")), external=True)
    program = str(out / "venv" / "bin" / "container-executor")
    session.run(program, "backends", external=True)
    session.run(program, "run", "--dev", "--backend", "process", "examples/specs/hello.json", external=True)


@nox.session
def soak(session: nox.Session) -> None:
    """The long sizes of the fault tests: hours."""
    session.install(*TESTS, "-e", ".[all,testing]", "-e", "examples/backend")
    session.run("pytest", "-m", "soak", *session.posargs, env={"CE_SOAK": "1"})


@nox.session
def bench(session: nox.Session) -> None:
    """Benchmarks of what can run here; prints a table and writes docs/performance.md."""
    session.install("-e", ".[all,testing]")
    session.run("python", "benchmarks/run.py", *session.posargs)


@nox.session(venv_backend="none")
def engines(session: nox.Session) -> None:
    """Bring the real engines up (as root on Debian); ``nox -s engines -- down`` takes them down."""
    action, *names = session.posargs or ["up"]
    session.run(sys.executable, str(ENGINES), action, *names, external=True)


def _engines_missing() -> list[str]:
    """Return a line for each engine whose tests will be skipped, and why."""
    prefixes = {
        "docker": "CE_DOCKER",
        "registry": "CE_REGISTRY",
        "minio": "CE_S3",
        "kube": "CE_KUBE",
        "slurm": "CE_SLURM",
    }
    return [
        f"{name}: skipped, no {prefix}_... variable is set; bring it up with `nox -s engines -- up {name}`"
        for name, prefix in prefixes.items()
        if not any(key == prefix or key.startswith(f"{prefix}_") for key in os.environ)
    ]


def _load_engines() -> None:
    """Take the variables of the engines that are up, so that nobody has to export them by hand."""
    listed = subprocess.run([sys.executable, ENGINES, "env"], capture_output=True, text=True, check=False, timeout=60)
    for line in listed.stdout.splitlines():
        name, found, value = line.partition("=")
        if found and name.startswith("CE_"):
            os.environ.setdefault(name, value)


_load_engines()
