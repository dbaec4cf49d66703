"""What the settings of a site mean for its daemon: its bounds, its policy, and who it is to the server."""

from container_executor.client import Client
from container_executor.execute.keys import key_of
from container_executor.execute.register import Membership
from container_executor.execute.site import Policy
from container_executor.funcspec import Limits
from container_executor.models import Capacity
from container_executor.settings import Settings

PARALLEL = 1000
"""Processes at once where the site sets no bound."""


def bounds_of(settings: Settings) -> tuple[int, Capacity]:
    """Return how many processes may be live at once, and what all of them may take."""
    executor = settings.executor
    return executor.parallel or PARALLEL, Capacity(executor.cpu, executor.memory, executor.gpus)


def policy_of(settings: Settings) -> Policy:
    """Return what the site decided about processes."""
    limits = settings.limits
    return Policy(
        limits=Limits(
            ranks=limits.ranks,
            walltime=limits.walltime,
            args_bytes=limits.args_bytes,
            env_bytes=limits.env_bytes,
            images=tuple(limits.images),
            image_roots=tuple(limits.image_roots),
        ),
        launches=settings.executor.launches,
        admission=settings.executor.admission_timeout.total_seconds(),
        pending=settings.executor.pending_timeout.total_seconds(),
        log_cap=settings.executor.log_cap,
    )


def membership_of(settings: Settings, client: Client, name: str) -> Membership:
    """Return who we are to the server.

    Raises:
        SettingsError: The colony's key is none.
    """
    hardware, software = settings.hardware, settings.software
    return Membership(
        client=client,
        name=name,
        type=settings.executor.type,
        location=settings.executor.location,
        colony_key=key_of(settings, "server.colony_key"),
        hardware=[
            {
                "model": hardware.model, "nodes": hardware.nodes, "cpu": hardware.cpu, "cores": hardware.cores,
                "mem": hardware.memory, "storage": hardware.storage, "platform": hardware.platform,
                "architecture": hardware.architecture, "network": list(hardware.network),
                "gpu": {
                    "name": hardware.gpu_name, "mem": hardware.gpu_memory,
                    "count": hardware.gpu_count, "nodecount": hardware.gpu_nodes,
                },
            },
        ],
        software=[
            {
                "name": software.name or "container-executor",
                "type": software.type or settings.backend,
                "version": software.version,
            },
        ],
    )  # fmt: skip
