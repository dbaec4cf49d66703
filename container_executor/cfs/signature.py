"""Signs requests to S3: Signature Version 4, in a header.

As the Amazon S3 API Reference has it ("Signature Calculations for the Authorization Header"). A store takes a third less of its processor
time to look at that than at the signature of an address, as obstore makes them (docs/decisions/small-requests-are-our-own.md).
"""

import hmac
import time
from collections.abc import Mapping
from hashlib import sha256

import attrs

UNSIGNED = "UNSIGNED-PAYLOAD"
"""Every content is compared with its record when it comes back."""
_ALGORITHM = "AWS4-HMAC-SHA256"


@attrs.define(eq=False)
class Signer:
    """Signs for one store. May be used from several threads.

    Attributes:
        host: The store as requests name it.
        region: Where it says it is.
        access_key: Who signs.
        secret_key: With what.
    """

    host: str
    region: str
    access_key: str
    secret_key: str = attrs.field(repr=False)
    _keys: dict[str, bytes] = attrs.field(factory=dict, repr=False)

    def headers(self, method: str, path: str) -> dict[str, str]:
        """Return the headers with which a request for a path without a query is signed now."""
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers = {"x-amz-content-sha256": UNSIGNED, "x-amz-date": date}
        return {**headers, "Authorization": self.authorization(method, path, {"host": self.host, **headers})}

    def authorization(self, method: str, path: str, headers: Mapping[str, str]) -> str:
        """Return the header that signs a request.

        Args:
            method: Of the request.
            path: What it asks for, percent-encoded.
            headers: Those that are signed: names in lower case and in order, host, ``x-amz-content-sha256`` and ``x-amz-date`` among them.
        """
        names, date = ";".join(headers), headers["x-amz-date"]
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = f"{method}\n{path}\n\n{lines}\n{names}\n{headers['x-amz-content-sha256']}"
        scope = f"{date[:8]}/{self.region}/s3/aws4_request"
        text = f"{_ALGORITHM}\n{date}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(self._key(date[:8]), text.encode(), "sha256").hex()
        return f"{_ALGORITHM} Credential={self.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"

    def _key(self, day: str) -> bytes:
        """Return what signs on a day; one is kept."""
        if (key := self._keys.get(day)) is None:
            key = f"AWS4{self.secret_key}".encode()
            for part in (day, self.region, "s3", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._keys = {day: key}
        return key
