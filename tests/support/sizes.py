"""How large a test of a fault is: seconds in every run, or as long as a site would see it, with ``CE_SOAK=1``."""

import os

import pytest

SOAKS = os.environ.get("CE_SOAK") == "1"


def sizes(name: str, *, ci: object, soak: object) -> pytest.MarkDecorator:
    """Return what runs a test with *name* once as *ci*, and, where asked for, once as *soak*."""
    marks = (pytest.mark.soak, pytest.mark.skipif(not SOAKS, reason="a long size: nox -s soak"))
    return pytest.mark.parametrize(name, [pytest.param(ci, id="ci"), pytest.param(soak, id="soak", marks=marks)])
