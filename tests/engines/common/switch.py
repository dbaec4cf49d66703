"""Programs with which a test takes a part of an engine away and brings it back: one word says what to do."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from common.report import EngineError, run


def switch(actions: Mapping[str, Callable[[], None]]) -> None:
    """Do the one of *actions* that the only argument names, and exit."""

    def chosen() -> None:
        if len(sys.argv) != 2 or sys.argv[1] not in actions:
            raise EngineError(f"usage: {Path(sys.argv[0]).name} {'|'.join(actions)}")
        actions[sys.argv[1]]()

    run(chosen)
