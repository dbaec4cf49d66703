"""The apiserver: the few calls that the backend makes, JSON in and JSON out.

The official client finds the server, its certificates and the login, and keeps the login fresh. Its typed models are not used:
they cost more time than the calls themselves, and an answer as JSON is what the deciding parts are tested with.
"""

import json
import os
import ssl
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import urllib3
from kubernetes import client
from kubernetes import config as _config
from kubernetes.client.exceptions import ApiException

from container_executor.streams import Endpoint

CALL_TIMEOUT = (3.0, 12.0)
"""Seconds to connect and to wait for an answer. A question may be asked twice, so that any call ends within 30 s."""
WATCH_SECONDS = 4
"""How long one watch lasts: within it the apiserver ends it by itself, so that a dead connection is told from a quiet cluster."""
PAGE = 500
config: Any = _config
"""The SDK's own, which has no types."""
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

Thing = Mapping[str, Any]
"""An object of Kubernetes as JSON."""


@attrs.define(eq=False)
class Cluster:
    """A connection to one namespace; opened at the first call.

    Attributes:
        kubeconfig: Its file; None for that of the environment, or of the pod that this program runs in.
        context: Which context of that file, "" for the current one.
        namespace: Where the jobs are; "" for the namespace of the context or pod.
    """

    kubeconfig: Path | None = None
    context: str = ""
    namespace: str = ""
    _client: Any = attrs.field(default=None, init=False)
    _tls: "ssl.SSLContext | None" = attrs.field(default=None, init=False)
    _opening: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    # --- calls --------------------------------------------------------------------------------------------------------

    def get(self, path: str, **query: str) -> Thing:
        """Return one object, or one answer of an endpoint."""
        return self._ask("GET", path, query)

    def find(self, what: str, **query: str) -> Iterator[Thing]:
        """Yield all objects of a kind in the namespace, as ``jobs`` or ``pods``, that *query* selects."""
        path, token = self.path(what), ""
        while True:
            answer = self._ask("GET", path, {**query, "limit": str(PAGE), **({"continue": token} if token else {})})
            yield from answer["items"]
            token = answer["metadata"].get("continue", "")
            if not token:
                return

    def create(self, what: str, body: Thing) -> Thing:
        """Make an object in the namespace and return it as it is there."""
        return self._ask("POST", self.path(what), {"fieldValidation": "Strict"}, body)

    def post(self, path: str, body: Thing) -> Thing:
        """Post a question, such as a review of rights."""
        return self._ask("POST", path, {}, body)

    def patch(self, what: str, name: str, body: Thing) -> None:
        """Change parts of an object."""
        self._ask("PATCH", self.path(what, name), {}, body)

    def delete(self, what: str, name: str) -> None:
        """Delete an object, and itself only after all that belongs to it.

        Without a policy the pods of a Job would run on as orphans (kubernetes.io, Garbage Collection).
        """
        self._ask("DELETE", self.path(what, name), {}, {"propagationPolicy": "Foreground"})

    def watch(self, what: str, version: str, **query: str) -> Iterator[Thing]:
        """Yield the events after *version* of a list, for a few seconds; a quiet time is no error."""
        wanted = {**query, "watch": "true", "resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS)}
        timeout = (CALL_TIMEOUT[0], 2.0 * WATCH_SECONDS)
        answer = self._send("GET", self.path(what), {**wanted, "allowWatchBookmarks": "true"}, None, timeout).response
        try:
            yield from _lines(answer)
        finally:
            answer.close()
            answer.release_conn()

    def path(self, what: str, name: str = "") -> str:
        """Return the path of a kind of objects in the namespace, or of one of them."""
        self._api()
        group = "apis/batch/v1" if what == "jobs" else "api/v1"
        return f"/{group}/namespaces/{self.namespace}/{what}" + (f"/{name}" if name else "")

    def endpoint(self) -> Endpoint:
        """Return where streams come from, with a login that is fresh now."""
        api = self._api()
        headers: dict[str, str] = dict(api.default_headers)
        api.update_params_for_auth(headers, [], ["BearerToken"], "", "GET", None)
        return Endpoint(api.configuration.host, ssl=self._tls, headers=headers)

    def close(self) -> None:
        """Close connections."""
        if self._client is not None:
            self._client.rest_client.pool_manager.clear()

    # --- how they are made --------------------------------------------------------------------------------------------

    def _ask(self, method: str, path: str, query: Mapping[str, str], body: Thing | None = None) -> Thing:
        answer = self._send(method, path, query, body, CALL_TIMEOUT)
        found: Thing = json.loads(answer.read())
        return found

    def _send(
        self, method: str, path: str, query: Mapping[str, str], body: Thing | None, timeout: tuple[float, float]
    ) -> Any:
        """Send a request and return its answer, not yet read.

        Raises:
            ApiException: The answer is not of success.
        """
        api, headers = self._api(), {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        order = api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        answer = api.call_api(*order, _request_timeout=timeout)
        if not 200 <= answer.status <= 299:
            raise ApiException(http_resp=answer, body=answer.read().decode("utf-8", "replace"))
        return answer

    def _api(self) -> Any:
        with self._opening:
            if self._client is None:
                settings = client.Configuration()
                default = self._load(settings)
                self.namespace = self.namespace or default
                settings.retries = urllib3.Retry(total=1, status=0, redirect=0, other=0, allowed_methods=["GET"])
                settings.connection_pool_maxsize = 16
                self._tls = _tls(settings)
                self._client = client.ApiClient(settings)
            return self._client

    def _load(self, settings: Any) -> str:
        """Read the connection into *settings* and return its namespace."""
        named = self.kubeconfig or os.environ.get("KUBECONFIG")
        if not named and (_ACCOUNT / "token").exists():
            config.load_incluster_config(client_configuration=settings)
            return (_ACCOUNT / "namespace").read_text().strip()
        file = None if self.kubeconfig is None else str(self.kubeconfig)
        contexts, active = config.list_kube_config_contexts(file)
        context = next((found for found in contexts if found["name"] == self.context), active)
        config.load_kube_config(file, context=self.context or None, client_configuration=settings)
        return str(context["context"].get("namespace") or "default")


def _lines(answer: Any) -> Iterator[Thing]:
    rest = b""
    for data in answer.stream(65_536):
        *whole, rest = (rest + data).split(b"\n")
        yield from (json.loads(line) for line in whole if line)


def _tls(settings: Any) -> ssl.SSLContext | None:
    """Return how the streams verify the apiserver: as the client does."""
    if not settings.host.startswith("https"):
        return None
    context = ssl.create_default_context(cafile=settings.ssl_ca_cert)
    if not settings.verify_ssl:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if settings.cert_file:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context
