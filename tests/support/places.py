"""Where the tests find what lies beside them, however deep their own folder is."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
DOCS = ROOT / "docs"
EXAMPLES = ROOT / "examples"
SHARED = ROOT.parent / "shared"  # real input and recordings; tests that need it skip without it

__all__ = ("DOCS", "EXAMPLES", "ROOT", "SHARED", "TESTS")
