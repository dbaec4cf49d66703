"""MinIO, built from the modules that go.mod and go.sum here pin."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import golang


def built() -> Path:
    """Return the program, built unless cached."""
    return golang.built(Path(__file__).resolve().parent, ["github.com/minio/minio"]) / "minio"
