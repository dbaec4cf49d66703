"""How a server is reached: directly or not, and how its certificate is checked."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


def is_direct(scheme: str, host: str) -> bool:
    """Return whether a host is reached without a proxy, as far as the environment says (``https_proxy``, ``no_proxy``, ...)."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return True
    import urllib.request  # noqa: PLC0415 - as long to import as all the rest of a short command's HTTP

    proxies = urllib.request.getproxies()
    return not (scheme in proxies or "all" in proxies) or bool(urllib.request.proxy_bypass(host))


def tls_context(*, verify: bool) -> "ssl.SSLContext":
    """Return how a server's certificate is checked, or that it is not."""
    import ssl  # noqa: PLC0415 - most servers of a laptop have none

    context = ssl.create_default_context()
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
