"""What an engine may lack. A backend says so in ``lacks``, with a reason that its users would accept."""

import difflib
from collections.abc import Callable, Mapping
from typing import TypeVar

import pytest

FEATURES = {
    "ranks": "a job may have several ranks",
    "nodes": "ranks can be placed on different machines",
    "network": "ranks of a job reach rank 0 at $MASTER_ADDR",
    "held": "ranks may start one by one, and are HELD until all are placed",
    "mounts": "a directory can be mounted into a job",
    "read_only_mounts": "and be protected from it",
    "memory": "the memory limit of a rank is enforced, and the engine tells when it struck",
    "gpus": "a rank can be given GPUs",
    "walltime": "the engine itself ends a program at its walltime (elsewhere the core does)",
    "lifetime": "the engine itself ends a job at its lifetime",
    "survival": "a job outlives the program that submitted it",
    "images": "a job runs inside an image",
    "output_excess": "more than the limit in $COLONIES_OUTPUT can be told from just the limit",
    "outage": "the engine can be away while the daemon runs",
}

Case = TypeVar("Case", bound=Callable[..., object])


def needs(*features: str) -> Callable[[Case], Case]:
    """Mark a case that makes no sense on an engine that lacks one of *features*."""

    def mark(case: Case) -> Case:
        case.__dict__["needs"] = features
        return case

    return mark


def check_lacks(lacks: Mapping[str, str]) -> None:
    """Fail where ``lacks`` names no feature or gives no reason."""
    for feature, reason in lacks.items():
        if feature not in FEATURES:
            near = difflib.get_close_matches(feature, FEATURES, 1) or sorted(FEATURES)
            pytest.fail(f"lacks: there is no feature {feature!r}; did you mean {', '.join(near)}?")
        if not reason:
            pytest.fail(f"lacks: say why this engine lacks {feature!r} ({FEATURES[feature]})")


def skip_lacking(case: Callable[..., object], lacks: Mapping[str, str]) -> None:
    """Skip a case that needs what the engine lacks, with the author's reason."""
    for feature in getattr(case, "needs", ()):
        if feature in lacks:
            pytest.skip(f"{feature}: {lacks[feature]}")
