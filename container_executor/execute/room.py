"""Asks the engine what is free and what there is in all, as often as somebody needs to know."""

from container_executor.errors import BackendError
from container_executor.execute.capacity import Told
from container_executor.execute.clock import now
from container_executor.execute.site import Site
from container_executor.logs import Logger
from container_executor.models import Capacity

log = Logger(__name__)

AGE = 2.0
"""Seconds for which an answer counts."""


async def look(site: Site) -> None:
    """Bring what the ledger knows of the engine up to date. An engine that does not answer leaves it as it is."""
    if now() < site.looked + AGE:
        return
    site.looked = now()
    counted = site.ledger.on_engine
    try:
        total, free = await site.engine.total(), await site.engine.capacity()
    except BackendError as error:
        log.warning("the engine does not tell what is free", error=str(error))
    else:
        site.ledger.tell(Told(free or Capacity(), total or Capacity(), counted))
