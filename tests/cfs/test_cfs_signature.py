"""Requests to S3 are signed as Amazon's own example is."""

from container_executor.cfs.signature import UNSIGNED, Signer

HOST = "examplebucket.s3.amazonaws.com"
SIGNER = Signer(HOST, "us-east-1", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_example_of_the_reference_has_the_signature_that_stands_there() -> None:
    """Amazon S3 API Reference, "Examples: Signature Calculations", GET Object."""
    headers = {"host": HOST, "range": "bytes=0-9", "x-amz-content-sha256": EMPTY, "x-amz-date": "20130524T000000Z"}

    assert SIGNER.authorization("GET", "/test.txt", headers) == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_the_key_of_a_day_is_not_that_of_the_next() -> None:
    def signed(day: str) -> str:
        headers = {"host": HOST, "x-amz-content-sha256": UNSIGNED, "x-amz-date": f"{day}T000000Z"}
        return SIGNER.authorization("GET", "/a%20b", headers).rpartition("=")[2]

    first, second = signed("20130524"), signed("20130525")

    assert first == signed("20130524") != second


def test_a_secret_is_not_shown() -> None:
    assert "wJalr" not in repr(SIGNER)
