"""Where the engine is, and the clients that speak to it."""

import os
import socket
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import docker
import docker.errors
from docker.context import ContextAPI
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env

from container_executor.errors import UnavailableError
from container_executor.streams import Endpoint

CALL_SECONDS = 30
PULL_SECONDS = 60
"""How long a pull may be silent."""
DEFAULT_SOCKET = "unix:///var/run/docker.sock"


@attrs.frozen
class Address:
    """Where an engine is.

    Attributes:
        url: ``unix:///PATH`` or ``tcp://HOST:PORT``.
        ca: Path of the certificate that it must be signed by, "" for none.
        cert: Path of our own certificate, "" for none.
        key: Path of its key.
        tls: It speaks TLS.
    """

    url: str
    ca: str = ""
    cert: str = ""
    key: str = ""
    tls: bool = False

    @property
    def local(self) -> bool:
        """True where the engine is on this machine for certain, and sees its files."""
        return self.url.startswith("unix://")

    @property
    def socket(self) -> str:
        """Path of its socket."""
        return "/" + self.url.removeprefix("unix://").lstrip("/")

    def to_dict(self) -> dict[str, str]:
        """Return it for the guard."""
        return {"url": self.url, "ca": self.ca, "cert": self.cert, "key": self.key}

    def tls_config(self) -> TLSConfig | None:
        """Return how the SDK verifies it."""
        if not self.tls:
            return None
        pair = (self.cert, self.key) if self.cert else None
        return TLSConfig(client_cert=pair, ca_cert=self.ca or None, verify=bool(self.ca))

    def endpoint(self) -> Endpoint:
        """Return where its streams come from."""
        if self.local:
            return Endpoint("http://localhost", socket=self.socket)
        place = self.url.partition("://")[2].rstrip("/")
        return Endpoint(f"https://{place}" if self.tls else f"http://{place}", ssl=self._ssl())

    def _ssl(self) -> ssl.SSLContext | None:
        if not self.tls:
            return None
        context = ssl.create_default_context(cafile=self.ca or None)
        if not self.ca:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self.cert:
            context.load_cert_chain(self.cert, self.key)
        return context


def find_engine(host: str, context: str, tls: Path | None, environ: Mapping[str, str] = os.environ) -> Address:
    """Return where the engine is: the setting, or what the docker command would take.

    Raises:
        UnavailableError: The context or the address is none that works here.
    """
    if host:
        return _of_setting(host, tls)
    if not context and environ.get("DOCKER_HOST"):
        return _of_sdk(kwargs_from_env(dict(environ)))
    named = context or environ.get("DOCKER_CONTEXT") or None
    try:
        found = ContextAPI.kwargs_from_context(name=named, environment=environ)
    except Exception as error:  # the SDK raises plain Exception for a broken file
        raise UnavailableError(f"context {named or 'of the docker command'}: {error}") from error
    if named and named != "default" and not found:
        raise UnavailableError(f"there is no docker context {named}; `docker context ls` lists them")
    return _of_sdk(found)


def _of_setting(host: str, tls: Path | None) -> Address:
    if tls is None:
        return Address(host)
    ca, cert, key = (str(tls / name) for name in ("ca.pem", "cert.pem", "key.pem"))
    return Address(host, ca, cert, key, tls=True)


def _of_sdk(found: Mapping[str, Any]) -> Address:
    url = str(found.get("base_url") or DEFAULT_SOCKET)
    if url.startswith(("ssh://", "npipe://")):
        raise UnavailableError(f"{url} cannot be used here; forward its socket (ssh -L) and set host = unix:///PATH")
    tls: Any = found.get("tls")
    if not tls:
        return Address(url)
    cert, key = tls.cert or ("", "")
    return Address(url, (tls.ca_cert or "") if tls.verify is not False else "", cert, key, tls=True)


class EngineClient(docker.APIClient):
    """The SDK's client, without the certificates, proxies and passwords that variables and files name for the web."""

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Return what a request is sent with, nothing of it from the environment."""
        self.trust_env = False
        return super().merge_environment_settings(url, proxies, stream, verify, cert)


def _knock(path: str) -> None:
    """Say plainly why nobody is behind a socket; the SDK would also leave its own end open."""
    with socket.socket(socket.AF_UNIX) as end:
        try:
            end.connect(path)
        except OSError as error:
            raise UnavailableError(f"no engine at unix://{path}: {error.strerror}") from error


@attrs.define(eq=False)
class Connection:
    """The clients of one engine, opened on first use. A client of the SDK may be used by several threads."""

    host: str
    context: str
    tls: Path | None
    _address: Address | None = None
    _endpoint: Endpoint | None = None
    _api: Any = None
    _opening: threading.Lock = attrs.field(factory=threading.Lock)

    @property
    def address(self) -> Address:
        """Where the engine is. It is not asked."""
        if self._address is None:
            self._address = find_engine(self.host, self.context, self.tls)
        return self._address

    @property
    def endpoint(self) -> Endpoint:
        """Where its streams come from; always the same value, so that connections are shared."""
        if self._endpoint is None:
            self._endpoint = self.address.endpoint()
        return self._endpoint

    @property
    def api(self) -> Any:
        """The client for short calls."""
        with self._opening:
            if self._api is None:
                self._api = self.open()
            return self._api

    def open(self, *, timeout: int = CALL_SECONDS) -> Any:
        """Return another client, for a call that takes long; the caller closes it."""
        if self.address.local:
            _knock(self.address.socket)
        tls = self.address.tls_config() or False
        return EngineClient(base_url=self.address.url, version="auto", timeout=timeout, tls=tls)

    def close(self) -> None:
        """Close the client for short calls."""
        with self._opening:
            if self._api is not None:
                self._api.close()
            self._api = None
