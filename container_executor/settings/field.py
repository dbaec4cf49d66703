"""What makes a field of a class a setting: its documentation, its other names, how a text is read, what it must be."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import attrs

positive = attrs.validators.ge(1)
count = attrs.validators.ge(0)
port = attrs.validators.and_(attrs.validators.ge(0), attrs.validators.le(65535))
some_time = attrs.validators.gt(timedelta(0))


def setting(
    default: Any,
    help_text: str,
    *,
    env: Sequence[str] = (),
    parse: Callable[[str], Any] | None = None,
    check: Any = None,
) -> Any:
    """Return a field that is a setting.

    Args:
        default: Its value when nobody sets it, or a factory of it.
        help_text: One or two sentences for the site's operator.
        env: Variables that also set it.
        parse: Reads a text into the value, raising ValueError; without it the field's type says how.
        check: An attrs validator of the value.
    """
    optional = attrs.validators.optional(check) if check is not None and default is None else check
    metadata = {"help": help_text, "env": tuple(env), "parse": parse}
    if callable(default):
        return attrs.field(factory=default, validator=optional, metadata=metadata)
    return attrs.field(default=default, validator=optional, metadata=metadata)
