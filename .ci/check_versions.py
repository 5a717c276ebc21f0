"""Fails unless the package, its metadata and the head of the changelog name one version."""

import re
import sys
from importlib.metadata import version
from pathlib import Path

root = Path(__file__).parent.parent
package = re.search(
    r'^__version__ = "([^"]+)"', (root / "chargeover_async/__init__.py").read_text("utf-8"), re.M
)
changelog = re.search(r"^## \[(\d[^\]]*)\]", (root / "CHANGELOG.md").read_text("utf-8"), re.M)
found = {
    "metadata": version("chargeover-async"),
    "__version__": package and package.group(1),
    "CHANGELOG.md": changelog and changelog.group(1),
}
if len(set(found.values())) != 1:
    sys.exit(f"versions differ: {found}")
print(f"version {found['metadata']} everywhere")
