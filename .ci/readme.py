"""Print the shell command in the Nth ``sh`` block of README.md, so that what is checked is what the README says."""

import re
import sys
from pathlib import Path

text = (Path(__file__).parent.parent / "README.md").read_text()
print(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[int(sys.argv[1]) - 1], end="")
