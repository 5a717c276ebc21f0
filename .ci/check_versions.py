"""Fails unless the package, its metadata and the head of the changelog name one version."""

import re
import sys
from importlib.metadata import version
from pathlib import Path

root = Path(__file__).parent.parent


def first(pattern: str, file: str) -> str | None:
    found = re.search(pattern, (root / file).read_text("utf-8"), re.MULTILINE)
    return found and found.group(1)


named = {
    "metadata": version("chargeover-async"),
    "__version__": first(r'^__version__ = "([^"]+)"', "chargeover_async/__init__.py"),
    "CHANGELOG.md": first(r"^## \[(\d[^\]]*)\]", "CHANGELOG.md"),
}
if len(set(named.values())) != 1:
    sys.exit(f"versions differ: {named}")
print(f"version {named['metadata']} everywhere")
