"""docs/sandbox.md says what is so."""

from __future__ import annotations

import re
import shlex

import pytest
from support.places import DOCS

from chargeover_async.sandbox import Sandbox
from chargeover_async.sandbox.http.control import COMMANDS
from chargeover_async.sandbox.http.faults import KINDS

PAGE = DOCS / "sandbox.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the documents are in the checkout")


@pytest.fixture
def text():
    return PAGE.read_text("utf-8")


def test_every_fault_is_in_the_table(text):
    """The table is that of the code, word for word."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE))
    assert rows == KINDS


def test_every_command_can_be_given(text, monkeypatch, tmp_path):
    """The command line takes what the page shows."""
    from click.testing import CliRunner

    from chargeover_async.cli.sandbox import sandbox_command

    served = []
    monkeypatch.setattr(
        "chargeover_async.cli.sandbox.serve", lambda *_a, **options: served.append(options)
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seeds").mkdir()
    commands = re.findall(r"^chargeover-async sandbox (.+)$", text, re.MULTILINE)
    commands += re.findall(r"`(--quota [^`]+)`", text)
    for command in commands:
        result = CliRunner().invoke(sandbox_command, shlex.split(command))
        assert result.exit_code == 0, (command, result.output)
    assert len(served) == len(commands) == 5


def test_every_command_of_the_control_plane_is_listed(text):
    """Neither more nor fewer than there are."""
    listed = set(re.findall(r"^\| `(GET|POST) /_sandbox/(\w+)`", text, re.MULTILINE))
    assert listed == set(COMMANDS)
    assert Sandbox().page_url.startswith("http://127.0.0.1:")
