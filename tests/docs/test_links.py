"""Links between our own documents lead somewhere; no network is asked."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from support.places import DOCS, ROOT

PAGES = sorted(
    path
    for folder in ("*.md", "docs/**/*.md", "examples/**/*.md", "benchmarks/*.md")
    for path in ROOT.glob(folder)
)
_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)")
_FENCED = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]+`")


def _prose(path: Path) -> str:
    return _FENCED.sub("", path.read_text("utf-8"))


def anchors(path: Path) -> set[str]:
    """What a heading of the page is called in a link, here and on code hosts alike."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+)$", _prose(path), re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", heading)).lower()
        slug = words.strip().replace(" ", "-")
        assert slug not in found, (
            f"{path.name} has two headings #{slug}: hosts number them, we do not"
        )
        found.add(slug)
    return found


def mistakes(path: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    found: list[str] = []
    for target in _LINK.findall(_CODE.sub("", _prose(path))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        there = (path.parent / name).resolve() if name else path
        if not there.exists():
            found.append(f"{target}: no such file")
        elif DOCS in path.parents and DOCS not in there.parents:
            found.append(f"{target}: the site has only what is in docs")
        elif anchor and anchor not in anchors(there):
            found.append(f"{target}: no such heading")
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_the_page_lead_somewhere(path: Path) -> None:
    """To a file that there is, and to a heading of it."""
    assert mistakes(path) == []


def test_a_wrong_link_is_told(tmp_path: Path) -> None:
    """A file, a heading; what is shown as code is no link."""
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b` c-d\n[a](#a-b-c-d) [b](#b) [c](gone.md)\n`[d](e)`\n```text\n[f](g)\n```\n", "utf-8"
    )
    assert mistakes(page) == ["#b: no such heading", "gone.md: no such file"]
