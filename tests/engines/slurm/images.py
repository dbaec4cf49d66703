"""Write the engines' standard images as docker archives, one file each: ``images.py FOLDER``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import images, packages


def main(folder: Path) -> None:
    packages.need("busybox-static", "mmdebstrap")
    for image in images.standard():
        images.archive([image], folder / f"{image.tags[0].partition(':')[0]}.tar")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
