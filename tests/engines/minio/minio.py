"""MinIO, built from the modules that go.mod and go.sum here pin."""

from pathlib import Path

from common import golang


def built() -> Path:
    """Return the program, built unless cached."""
    return golang.built(Path(__file__).resolve().parent, ["github.com/minio/minio"]) / "minio"
