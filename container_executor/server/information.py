"""What the server says of itself to anybody, without a signature."""

from container_executor.server.call import Call, Handler
from container_executor.server.fields import dump, struct
from container_executor.server.roles import anybody


def version(_call: Call) -> str:
    """Return the build as the Colonies server does when it was not stamped with one."""
    return dump({"buildversion": "", "buildtime": "", "msgtype": "versionmsg"})


VERSION = Handler("versionmsg", "get server version", struct(), anybody, version, signed=False)
