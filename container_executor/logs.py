"""The log of this package: what the program has set up for structlog, else the standard library's logging, never the standard output.

structlog writes to the standard output until a program configures it, and a library must not: what a program prints may be its
result.
"""

import sys

import attrs


@attrs.frozen
class Logger:
    """A log by name. Events are short sentences, fields their circumstances."""

    name: str

    def info(self, event: str, **fields: object) -> None:
        """Note what happens as it should."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Note what may need somebody's attention."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Note what went wrong."""
        self._write("error", event, fields)

    def exception(self, event: str, **fields: object) -> None:
        """Note what went wrong, with the exception that is being handled."""
        self._write("exception", event, fields)

    def _write(self, method: str, event: str, fields: dict[str, object]) -> None:
        structlog = sys.modules.get("structlog")  # a tenth of a second that only a program pays which has set it up
        if structlog is not None and structlog.is_configured():
            getattr(structlog.get_logger(self.name), method)(event, **fields)
        else:
            import logging  # noqa: PLC0415 - a short command has nothing to say

            words = " ".join(f"{name}={value!r}" for name, value in fields.items())
            getattr(logging.getLogger(self.name), method)("%s %s", event, words)
