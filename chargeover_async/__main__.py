"""The command ``chargeover-async``, and ``python -m chargeover_async``."""

from __future__ import annotations

import sys

NEEDS_EXTRA = 'the command line needs the extra "cli": pip install "chargeover-async[cli]"'


def main() -> None:
    """Run the command line; exits with 2 and one line when the extra ``cli`` is missing."""
    try:
        import click  # noqa: F401 - only to see whether it is there
        import rich  # noqa: F401 - likewise
    except ImportError:
        sys.stderr.write(f"{NEEDS_EXTRA}\n")
        sys.exit(2)
    from .cli import cli

    cli(prog_name="chargeover-async")


if __name__ == "__main__":
    main()
