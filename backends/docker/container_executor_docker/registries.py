"""Whether the registries that the site has logins for can be reached from the engine, and take them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker.auth
import docker.errors

from container_executor.models import Fault

_FIXES = (
    ("x509", "put the certificate of its authority into /etc/docker/certs.d/{}/ca.crt on the engine's machine"),
    ("gave HTTP response to HTTPS", "name it in insecure-registries of the engine's daemon.json, or let it speak TLS"),
    ("401", "log in again: docker --config {config} login {}"),
    ("incorrect username or password", "log in again: docker --config {config} login {}"),
)
"""What mends a login that failed, by dockerd's words."""


def login_faults(api: Any, folder: Path) -> Iterator[Fault]:
    """Log in to each registry of the ``config.json`` in *folder*, as the engine would, and yield what is wrong.

    Args:
        api: A client of the engine.
        folder: Where the logins are.
    """
    try:
        logins = docker.auth.load_config(str(folder / "config.json")).get_all_credentials()  # type: ignore[no-untyped-call]
    except docker.errors.DockerException as error:
        yield Fault(f"the logins of registries in {folder} cannot be read: {error}", "log in again with docker login")
        return
    for registry, login in logins.items():
        name, password = login.get("Username") or login.get("username"), login.get("Password") or login.get("password")
        if not name or not password:
            continue  # a token, which only a pull can try
        try:
            api.login(name, password, registry=registry, reauth=True)
        except docker.errors.APIError as error:
            yield refused(registry, str(error.explanation), folder)


def refused(registry: str, words: str, folder: Path) -> Fault:
    """Return what a login to *registry* that failed with these words of dockerd means. Pure."""
    fix = next((fix for part, fix in _FIXES if part in words), "see that the engine's machine reaches {}")
    return Fault(f"the engine cannot log in to registry {registry}: {words}", fix.format(registry, config=folder))
