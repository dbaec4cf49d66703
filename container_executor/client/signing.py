"""Keys, identities and signatures of the Colonies protocol (secp256k1, SHA3-256).

The scheme is that of the Go server (github.com/colonyos/colonies, ``pkg/security/crypto``): an identity is the SHA3-256 of
the lowercase *hex text* of the uncompressed public key; a signature is ``r || s || v`` in hex over the SHA3-256 of the base64
text of the payload, with v = 0 or 1 and s in the lower half.
"""

import hashlib
import re
import secrets
from typing import Self

import attrs
from coincurve import PrivateKey, PublicKey

SIGNATURE_HEX = 130
_KEY = re.compile("[0-9a-f]{64}")
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def _lower(text: str) -> str:
    return text.lower()


@attrs.frozen(repr=False)
class Identity:
    """A private key and the id that the server knows it by. Its repr shows the id only.

    Attributes:
        key: The key, 64 hex digits. Never written to logs.
        id: 64 hex digits.
    """

    key: str = attrs.field(converter=_lower)
    id: str = attrs.field(init=False)
    _private: PrivateKey = attrs.field(init=False, eq=False)

    def __attrs_post_init__(self) -> None:
        """Check the key and keep its parsed form: building it costs more than a signature."""
        object.__setattr__(self, "_private", _private_key(self.key))
        object.__setattr__(self, "id", identity_of(self._private.public_key))

    def __repr__(self) -> str:
        return f"Identity(id={self.id!r})"

    @classmethod
    def new(cls) -> Self:
        """Make a new random key."""
        return cls(secrets.token_bytes(32).hex())

    def sign(self, payload: bytes) -> str:
        """Return the signature of *payload*, 130 hex digits; the same for the same bytes (RFC 6979)."""
        return self._private.sign_recoverable(_digest(payload), hasher=None).hex()


def _private_key(text: str) -> PrivateKey:
    try:
        return PrivateKey(bytes.fromhex(text) if _KEY.fullmatch(text) else b"")
    except ValueError:
        raise ValueError("no private key: expected 64 hex digits of a secp256k1 key") from None


def identity_of(key: PublicKey) -> str:
    """Return the id of a public key."""
    return hashlib.sha3_256(key.format(compressed=False).hex().encode()).hexdigest()


def signer_of(payload: bytes, signature: str) -> str:
    """Return the id of the key that made *signature* over *payload*.

    Raises:
        ValueError: The signature is malformed, has s in the upper half, or no key can have made it.
    """
    if len(signature) != SIGNATURE_HEX:
        raise ValueError("Incorrect signature length")
    raw = bytes.fromhex(signature)
    if len(raw) * 2 != SIGNATURE_HEX:  # fromhex skips spaces
        raise ValueError("Incorrect signature length")
    if int.from_bytes(raw[32:64], "big") > _HALF_ORDER:
        raise ValueError("Signature s value is over half the order")
    if raw[64] > 1:
        raise ValueError("recovery code is not in the valid range")
    try:
        return identity_of(PublicKey.from_signature_and_message(raw, _digest(payload), hasher=None))
    except Exception as error:  # coincurve raises bare Exception for an unrecoverable signature
        raise ValueError("failed to recover public key") from error


def _digest(payload: bytes) -> bytes:
    return hashlib.sha3_256(payload).digest()
