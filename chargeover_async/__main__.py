"""The command ``chargeover-async``, and ``python -m chargeover_async``."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from ._hints import needs_extra

NEEDS_EXTRA = needs_extra("the command line needs", "cli")


def main() -> None:
    """Run the command line; exits with 2 and one line when the extra ``cli`` is missing."""
    if find_spec("click") is None or find_spec("rich") is None:
        sys.stderr.write(f"{NEEDS_EXTRA}\n")
        sys.exit(2)
    from .cli import cli

    cli(prog_name="chargeover-async")


if __name__ == "__main__":
    main()
