"""An embedded Colonies server: one program, one SQLite file, the wire protocol of github.com/colonyos/colonies."""

from container_executor.server.server import Server, serve

__all__ = ["Server", "serve"]
