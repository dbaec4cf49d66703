"""Reading a function spec from JSON text, with the line and column of what is no JSON."""

import json
from collections import Counter
from typing import Any

from container_executor.errors import Problem, SpecError
from container_executor.funcspec.parse import Parsed, parse
from container_executor.funcspec.reading import DEEPEST, Repeated
from container_executor.units import format_size

LONGEST = 16 * 2**20
"""Bytes that the text of a spec may have."""


def parse_text(text: str | bytes, source: str = "") -> Parsed:
    """Read a function spec that a user wrote from JSON text.

    Args:
        text: UTF-8 where it is bytes.
        source: What to call the text in errors: a file's name, or "" for none.

    Raises:
        SpecError: It is no JSON (one problem, at line and column), or no function spec (every problem, by JSON path).
    """
    return parse(_load(text, source))


def _load(text: str | bytes, source: str) -> Any:
    if len(text) > LONGEST:
        raise SpecError(Problem(source, f"is larger than {format_size(LONGEST)}; data belongs into files, see fs"))
    try:
        return json.loads(_decoded(text), object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise SpecError(_syntax_problem(error, source)) from None
    except UnicodeDecodeError as error:
        raise SpecError(Problem(source, f"is no UTF-8 text: byte {error.start} is wrong")) from None
    except RecursionError:
        raise SpecError(Problem(source, f"is nested deeper than {DEEPEST} levels")) from None
    except ValueError:  # the only other one that json.loads raises: int() refuses thousands of digits
        raise SpecError(Problem(source, "has a number of thousands of digits; write it as a text, in quotes")) from None


def _decoded(text: str | bytes) -> str:
    return (text.decode() if isinstance(text, bytes) else text).removeprefix("\ufeff")


def _syntax_problem(error: json.JSONDecodeError, source: str) -> Problem:
    line = error.doc[error.doc.rfind("\n", 0, error.pos) + 1 :].partition("\n")[0]
    place = f"line {error.lineno}, column {error.colno}"
    near = line[max(error.colno - 31, 0) : error.colno + 29].strip()
    return Problem(f"{source}, {place}" if source else place, f"is no JSON: {error.msg.lower()}, near {near!r}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    repeated = Repeated(members)
    repeated.repeated = tuple(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
    return repeated
