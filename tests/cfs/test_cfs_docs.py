"""Every spec in ``docs/cfs.md`` is one that can run."""

import json
import re
from pathlib import Path

import pytest

from container_executor.funcspec import parse, validate

PAGE = (Path(__file__).parents[2] / "docs" / "cfs.md").read_text()
SPECS = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", SPECS)
def test_a_spec_of_the_page_is_valid(text: str) -> None:
    validate(parse(json.loads(text)).spec)


def test_the_page_has_specs() -> None:
    assert len(SPECS) == 4
