"""The one signed S3 request that `up` needs, so that no S3 client has to be installed.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hashlib
import hmac
import http.client
from datetime import UTC, datetime

REGION = "us-east-1"
NOTHING = hashlib.sha256(b"").hexdigest()
SIGNED = "host;x-amz-content-sha256;x-amz-date"


def bucket_made(address: str, bucket: str, access: str, secret: str) -> bool:
    """Tell whether *bucket* exists now at the server *address*; it is made if the server answers at all."""
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("PUT", f"/{bucket}", headers=_headers(address, f"/{bucket}", access, secret))
        return connection.getresponse().status in {200, 409}  # 409: BucketAlreadyOwnedByYou
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _headers(host: str, path: str, access: str, secret: str) -> dict[str, str]:
    """Return the headers of a signed PUT without body."""
    now = datetime.now(UTC)
    stamp, scope = f"{now:%Y%m%dT%H%M%SZ}", f"{now:%Y%m%d}/{REGION}/s3/aws4_request"
    request = f"PUT\n{path}\n\nhost:{host}\nx-amz-content-sha256:{NOTHING}\nx-amz-date:{stamp}\n\n{SIGNED}\n{NOTHING}"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={SIGNED}, Signature={signature}"
    return {"Host": host, "x-amz-content-sha256": NOTHING, "x-amz-date": stamp, "Authorization": credential}
