"""Files as the official client and pycolonies store them can be read, and ours are stored as those read them.

The records are those that ``colonies fs sync`` of v1.9.12 and ``upload_file`` of pycolonies 1.0.25 left in a server; the address
and the keys of the store are other ones. The official client stores nothing for an empty file, pycolonies an empty object.
"""

from typing import Any

import pytest
from files import Rig, names

from container_executor.client.call import Call
from container_executor.testing import require_engine

HELLO = ("hello.txt", 14, "c98c24b677eff44860afea6f493bbaec5bb1c4cbb209c6fc2bbb47f66ff2ad31")
EMPTY = ("empty", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
DEEP = ("deep é.txt", 5, "64896f89fd11190013b70103e603a1c5826e56b7fb7d2197ab279b0690043599")
CONTENTS = {"hello.txt": b"Hello, World!\n", "empty": b"", "deep é.txt": b"deep\n"}


def record(label: str, file: tuple[str, int, str], key: str, **place: Any) -> dict[str, Any]:
    name, size, checksum = file
    store = {"tls": False, "region": "us-east-1", "encryptionkey": "", "encryptionalg": "", "bucket": "colonies-prod"}
    return {
        "fileid": "", "label": label, "name": name, "size": size, "sequencenr": 1,
        "checksum": checksum, "checksumalg": "SHA256",
        "ref": {"protocol": "s3", "s3object": {**store, "object": key, **place}},
    }  # fmt: skip


GO = {"server": "localhost:9000", "port": -1, "accesskey": "access", "secretkey": "secret"}
PYTHON = {"server": "localhost", "port": 9000, "accesskey": "", "secretkey": ""}
RECORDS = {
    "official": [
        record("/theirs", EMPTY, "e3b611d16bb3766a23923766ad178e7a139372a7ecf991096b4e5239135e3995", **GO),
        record("/theirs", HELLO, "08127262bf19ca0f76a527762cf9fe29b5bce4aa70ef06e504e6cac254add95f", **GO),
        record("/theirs/sub", DEEP, "81deb35306e6f06695f5e859d05522400627639f08cbcfcdbde5496e222a8784", **GO),
    ],
    "pycolonies": [
        record("/theirs", HELLO, "8d4d5240996d7283a8b84d578bc3b92390347463a342ee396322823561e7b3e7", **PYTHON),
        record("/theirs", EMPTY, "ca962caae44dc62eefd7e37beb6fb98655575bd67803a26c6c2f806d5117cd53", **PYTHON),
        record("/theirs/sub", DEEP, "772902b7556635ed39e4a150913fec92fce580c8b044f95ce36fcee5a270e26b", **PYTHON),
    ],
}


def ask(rig: Rig, message: str, **fields: Any) -> Any:
    """Return what the server answers to a call, as it is on the wire."""
    return rig.colony.call(rig.colony.client._ask, Call(message, fields, lambda value, _path: value))


@pytest.mark.parametrize("client", RECORDS)
def test_files_of_other_clients_can_be_read(rig: Rig, client: str) -> None:
    for each in RECORDS[client]:
        ask(rig, "addfilemsg", file={**each, "colonyname": rig.colony.name})
        if each["size"] or client == "pycolonies":
            rig.store.put(each["ref"]["s3object"]["object"], CONTENTS[each["name"]])

    place = rig.place("here")
    plan = rig.sync(place, "/theirs")

    assert [file.path for file in plan.downloads] == ["empty", "hello.txt", "sub/deep é.txt"]
    assert names(place) == ["empty", "hello.txt", "sub"]
    assert (place / "sub" / "deep é.txt").read_bytes() == b"deep\n"
    assert (place / "hello.txt").read_bytes() == b"Hello, World!\n"
    assert (place / "empty").read_bytes() == b""
    assert rig.plan(place, "/theirs").empty


def test_our_files_are_stored_as_other_clients_read_them(rig: Rig) -> None:
    rig.sync(rig.place("here", {"hello.txt": "Hello, World!\n", "empty": "", "sub/deep é.txt": "deep\n"}), "/ours")

    for label, file in (("/ours", HELLO), ("/ours", EMPTY), ("/ours/sub", DEEP)):
        asked = {"colonyname": rig.colony.name, "label": label, "name": file[0], "latest": True}
        (found,) = ask(rig, "getfilemsg", **asked)
        place = found["ref"]["s3object"]
        assert (found["name"], found["size"], found["checksum"], found["checksumalg"]) == (*file, "SHA256")
        assert (place["accesskey"], place["secretkey"]) == ("", "")
        assert b"".join(map(bytes, rig.store.read(place["object"]))) == CONTENTS[file[0]]
        if (
            rig.store.place.bucket
        ):  # pycolonies reads from where the record says, the official client from its own settings
            address = f"{'https' if place['tls'] else 'http'}://{place['server']}:{place['port']}"
            assert address == require_engine("minio")["CE_S3_ENDPOINT"]
            assert place["bucket"] == rig.store.place.bucket
