"""GPUs: which are free, and how a container is given them. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from container_executor_docker.labels import GPUS
from container_executor_docker.settings import GpuDriver

AMD_COMMON = "/dev/kfd"
"""The device that every ROCm program opens beside its render node (rocm.docs.amd.com, Running ROCm Docker containers)."""


def taken_gpus(containers: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the GPUs that listed containers, which have not ended, were given."""
    lists = (container["Labels"].get(GPUS, "") for container in containers)
    return {gpu for text in lists for gpu in text.split(",") if gpu}


def choose(wanted: int, of: Sequence[str], taken: Iterable[str]) -> list[str] | None:
    """Return *wanted* GPUs that nobody has, None where there are not so many."""
    gone = set(taken)
    free = [gpu for gpu in of if gpu not in gone]
    return free[:wanted] if len(free) >= wanted else None


def device_request(driver: GpuDriver, *, ids: Sequence[str] = (), count: int = 0) -> dict[str, Any]:
    """Return the part of ``HostConfig`` that gives a container certain GPUs, or so many of NVIDIA's."""
    if driver is GpuDriver.AMD:
        return {"Devices": [_device(path) for path in (AMD_COMMON, *ids)]}
    request: dict[str, Any] = {"Driver": driver.value, "DeviceIDs": list(ids)} if ids else {"Driver": driver.value}
    if driver is GpuDriver.NVIDIA:
        request["Capabilities"] = [["gpu"]]
    if count:
        request["Count"] = count
    return {"DeviceRequests": [request]}


def _device(path: str) -> dict[str, str]:
    return {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rw"}
