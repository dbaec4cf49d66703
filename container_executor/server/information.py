"""What the server says of itself to anybody, without a signature."""

from importlib.metadata import version as installed_version

from container_executor.server.call import Call, Handler
from container_executor.server.fields import dump, struct
from container_executor.server.roles import anybody


def version(_call: Call) -> str:
    """Return the build as the Colonies server does when it was not stamped with one."""
    return dump({"buildversion": "", "buildtime": "", "msgtype": "versionmsg"})


def server_info(call: Call) -> str:
    """Say which program this is and where it listens."""
    known = dict(call.db.execute("SELECT key, value FROM server WHERE key IN ('host', 'port')"))
    backend = {"type": "http", "port": int(known["port"]), "host": known["host"]}
    build = f"container-executor {installed_version('container-executor')}"
    return dump({"buildversion": build, "buildtime": "", "backends": [backend]})


HANDLERS = (
    Handler("versionmsg", "get server version", struct(), anybody, version, signed=False),
    Handler("getserverinfomsg", "get server info", struct(), anybody, server_info, signed=False, bare=True),
)
"""The messages of this module."""
