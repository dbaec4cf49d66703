"""Whether this Python has what the program needs: every package there, new enough, and importable."""

import platform
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version

from container_executor.cli.doctor_report import Finding, fault, ok

DISTRIBUTION = "container-executor"
_NEEDED = re.compile(r"([A-Za-z0-9._-]+)>=([0-9.]+)$")


def check_python() -> Iterator[Finding]:
    """Yield what is wrong with the Python packages, or that nothing is."""
    problems = [problem for name, oldest in _needed() if (problem := _problem(name, oldest))]
    for problem in problems:
        yield fault("python", problem, f"install it again: pip install --force-reinstall {DISTRIBUTION}")
    if not problems:
        yield ok("python", f"{platform.python_version()}, {DISTRIBUTION} {version(DISTRIBUTION)}")


def _needed() -> Iterator[tuple[str, str]]:
    """Yield each package that is needed without any extra, and the oldest version that will do."""
    for line in requires(DISTRIBUTION) or ():
        found = _NEEDED.match(line)
        if found:
            yield found[1], found[2]


def _problem(name: str, oldest: str) -> str:
    try:
        present = version(name)
        import_module(name.replace("-", "_"))
    except PackageNotFoundError:
        return f"the package {name} is not installed"
    except Exception as error:  # noqa: BLE001 - a broken package may raise anything when it is imported
        return f"the package {name} cannot be imported: {error}"
    return f"the package {name} is {present}, older than {oldest}" if _numbers(present) < _numbers(oldest) else ""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", text)[:3])
