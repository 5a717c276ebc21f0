"""The tests of the quota count from 0, as its windows do."""

from __future__ import annotations

import pytest
from support import fake_loop


@pytest.fixture(autouse=True)
def _from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake_loop, "START", 0.0)
