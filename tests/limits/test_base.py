"""What a quota may be told."""

import math

import pytest

from chargeover_async.errors import UsageError
from chargeover_async.limits import QuotaSettings


def test_defaults_are_the_accounts_quota():
    """Without arguments the settings are the documented 250 a minute."""
    settings = QuotaSettings()
    assert (settings.limit, settings.window_s) == (250, 60.0)
    assert (settings.burst, settings.guard_s, settings.bulk_share) == (50, 1.0, 0.2)
    assert (settings.margin_s, settings.pause_s) == (0.012, 5.0)


def test_defaults_scale_with_limit_and_window():
    """A scaled quota keeps burst, margin and pause in proportion."""
    settings = QuotaSettings(limit=1000, window_s=6)
    assert (settings.burst, settings.margin_s, settings.pause_s) == (200, 0.0012, 0.5)
    assert QuotaSettings(limit=1).burst == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": 2.5},
        {"limit": True},
        {"limit": "250"},
        {"window_s": 0},
        {"window_s": -60},
        {"window_s": math.nan},
        {"window_s": math.inf},
        {"window_s": "60"},
        {"burst": -1},
        {"burst": 126},
        {"burst": 1.5},
        {"guard_s": -0.1},
        {"guard_s": math.nan},
        {"bulk_share": 0},
        {"bulk_share": 0.51},
        {"margin_s": -1},
        {"margin_s": math.inf},
        {"pause_s": 0},
    ],
    ids=str,
)
def test_what_cannot_be_right_is_refused_by_name(wrong):
    """Each impossible value raises UsageError that names the setting and the value."""
    ((name, value),) = wrong.items()
    with pytest.raises(UsageError, match=name) as caught:
        QuotaSettings(**wrong)
    assert str(value) in str(caught.value)


@pytest.mark.parametrize(
    "fine",
    [{"burst": 0}, {"guard_s": 0}, {"margin_s": 0}, {"bulk_share": 0.5}, {"limit": 1}],
    ids=str,
)
def test_the_edges_are_allowed(fine):
    """The smallest and largest values that make sense are accepted and kept."""
    ((name, value),) = fine.items()
    assert getattr(QuotaSettings(**fine), name) == value


def test_settings_are_frozen_values():
    """Settings compare by value and cannot be changed."""
    assert QuotaSettings(250, 60) == QuotaSettings()
    assert hash(QuotaSettings(250, 60)) == hash(QuotaSettings())
    with pytest.raises(AttributeError):
        QuotaSettings().limit = 500
