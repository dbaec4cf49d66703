"""Keys, ids and signatures: the same bytes as the Go server's own client makes."""

import pytest
from coincurve import PrivateKey

from container_executor.client import Identity
from container_executor.client.signing import identity_of, signer_of

KEY = "ddf7f7791208083b6a9ed975a72684f6406a269cfa36f1b1c32045c0a71fff05"
ID = "3fc05cf3df4b494e95d6a3d297a34f19938f7daa7422ab0d4f794454133341ac"
PUBLIC = (
    "040e1930031d82f79fb53008c4ad81c8933f9fdb4d55bf9f385eca9f1275b2cfd6"
    "ed08ae04fd9e3b72daeea8d3e836148d4d3dc27df58fb45878d126cddf4d2fcf"
)
SIGNATURES = {
    b"eyJtc2d0eXBlIjoidmVyc2lvbm1zZyJ9": (
        "a4441eeb22373d2d99e52e65f70ab5519a78888a96e853cad66e1038ebd51d11"
        "01a2d510b48eccdc3b5046d9703a112c9bd96201386b01348402dc64927433bf00"
    ),
    b"hello": (
        "887d6a2291487951e99ea07c3a15a37e29971856c85ff732d8d6cd087c525a5a"
        "1019ef841dc4880f8a592e5d45cbddfcd94b3ca2c9651b4c990f2b959793adc701"
    ),
}
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.mark.parametrize(
    ("key", "identity"),
    [
        (KEY, ID),
        ("ba949fa134981372d6da62b6a56f336ab4d843b22c02a4257dcf7d0d73097514", "4787a507"),
        ("fcc79953d8a751bf41db661592dc34d30004b1a651ffa0725b03ac227641499d", "039231c7"),
    ],
)
def test_a_key_has_the_id_that_the_server_knows_it_by(key: str, identity: str) -> None:
    assert Identity(key).id.startswith(identity)
    assert Identity(key.upper()) == Identity(key)


def test_the_public_key_is_that_of_the_published_vector() -> None:
    assert PrivateKey(bytes.fromhex(KEY)).public_key.format(compressed=False).hex() == PUBLIC
    assert identity_of(PrivateKey(bytes.fromhex(KEY)).public_key) == ID


@pytest.mark.parametrize("payload", SIGNATURES)
def test_a_signature_is_byte_for_byte_that_of_the_go_client(payload: bytes) -> None:
    assert Identity(KEY).sign(payload) == SIGNATURES[payload]


@pytest.mark.parametrize("payload", SIGNATURES)
def test_a_signature_leads_back_to_its_signer(payload: bytes) -> None:
    assert signer_of(payload, SIGNATURES[payload]) == ID


def test_a_signature_over_something_else_leads_to_somebody_else() -> None:
    assert signer_of(b"hellp", SIGNATURES[b"hello"]) != ID


def test_new_keys_differ_and_sign() -> None:
    first, second = Identity.new(), Identity.new()

    assert first.id != second.id
    assert signer_of(b"x", first.sign(b"x")) == first.id


def _high_s(signature: str) -> str:
    s = ORDER - int(signature[64:128], 16)
    return f"{signature[:64]}{s:064x}{1 - int(signature[128:]):02x}"


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "00",
        "zz" * 65,
        SIGNATURES[b"hello"][:-2] + "1b",  # v of 27, as Ethereum writes it
        _high_s(SIGNATURES[b"hello"]),
        "00" * 65,
        SIGNATURES[b"hello"][:-2] + " " * 2,
        " " * 130,
    ],
)
def test_a_malformed_signature_is_a_value_error(signature: str) -> None:
    with pytest.raises(ValueError):
        signer_of(b"hello", signature)


@pytest.mark.parametrize("key", ["", "00" * 32, "ff" * 32, KEY[:-2], KEY + "00", "zz" * 32, KEY[:-2] + " 5", "é" * 64])
def test_what_is_no_key_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="expected 64 hex digits") as caught:
        Identity(key)

    assert not key or key not in str(caught.value)


def test_the_key_is_in_no_text_of_the_identity() -> None:
    identity = Identity(KEY)

    assert KEY not in f"{identity} {identity!r} {[identity]}"
    assert ID in repr(identity)
