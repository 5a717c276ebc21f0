"""Prints the Nth fenced bash block of the README's section "Two commands"."""

import re
import sys
from pathlib import Path

readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
_, _, rest = readme.partition("\n## Two commands\n")
section, _, _ = rest.partition("\n## ")
blocks = re.findall(r"^```bash\n([^`]*)^```$", section, re.MULTILINE)
if len(blocks) != 2:
    sys.exit(f'README.md: "## Two commands" must hold two bash blocks, not {len(blocks)}')
print(blocks[int(sys.argv[1]) - 1], end="")
