"""Reading one attribute of a process."""

from container_executor.server.call import Call, Handler
from container_executor.server.fields import struct, text
from container_executor.server.process import find_attribute
from container_executor.server.refusal import Refused
from container_executor.server.roles import anybody, require_member


def get(call: Call) -> str:
    """Return an attribute to a member of its colony."""
    attribute = find_attribute(call.db, call.message["attributeid"])
    if attribute is None:
        raise Refused(404, "Failed to get attribute, attribute not found")
    require_member(call.db, attribute.colony, call.caller)
    return attribute.json()


HANDLERS = (Handler("getattributemsg", "get attribute", struct(attributeid=text), anybody, get),)
"""The messages of this module; the role depends on the attribute found."""
