"""Container images made from Debian's static busybox alone: a layer, its configurations, and tar files that engines load."""

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import attrs
