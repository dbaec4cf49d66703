"""Finds the real engine that a test needs: skips in one clear line, or fails where the site said that it must be there."""

import os
from collections.abc import Mapping

import pytest

REQUIRED = "CE_REQUIRE_ENGINES"
"""Comma-separated names of engines whose absence is a failure, not a skip."""

_PREFIXES = {"minio": "CE_S3"}
"""Where an engine's variables are not called after it."""


def require_engine(name: str, *, environ: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """Return the variables in which the rig of an engine said that it is up: ``CE_DOCKER_HOST`` and so on, with their names.

    Where there are none the calling test is skipped, or fails if ``CE_REQUIRE_ENGINES`` names the engine.

    Args:
        name: The engine: ``docker``, ``registry``, ``minio``, ``kube``, ``slurm``, ...
        environ: Looked into instead of the environment of this program.
    """
    known = os.environ if environ is None else environ
    prefix = _PREFIXES.get(name, f"CE_{name.upper()}")
    if found := {key: value for key, value in known.items() if key == prefix or key.startswith(f"{prefix}_")}:
        return found
    absent = f"no {name} engine: no {prefix}_... variable is set; run tests/engines/{name}/up and export what it prints"
    if name in required_engines(known):
        pytest.fail(f"{absent} ({REQUIRED} names {name})", pytrace=False)
    pytest.skip(absent)


def required_engines(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the names of the engines that must be there."""
    return frozenset(name.strip() for name in environ.get(REQUIRED, "").split(",") if name.strip())
