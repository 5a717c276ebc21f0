"""Prints the Nth fenced bash block of the README's section "Two commands"."""

import re
import sys
from pathlib import Path

readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
section = re.search(r"^## Two commands$(.*?)(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL)
blocks = re.findall(r"^```bash\n(.*?)^```$", section.group(1) if section else "", re.M | re.S)
if len(blocks) != 2:
    sys.exit(f'README.md: "## Two commands" must hold two bash blocks, not {len(blocks)}')
print(blocks[int(sys.argv[1]) - 1], end="")
