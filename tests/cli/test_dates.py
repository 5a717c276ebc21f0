"""How an account writes dates reaches every command, from the environment or as an option."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from chargeover_async import ChargeOver, DateFormat, UsageError
from chargeover_async.cli import cli
from chargeover_async.cli.account import account_options, opener

URL = "https://example.chargeover.com/api/v3"
DAY, MOMENT = "%d.%m.%Y", "%d.%m.%Y %H:%M"


@click.command()
@account_options
def probe(url: str | None) -> None:
    """Shows what a client of the command would read dates by."""
    dates = opener(url)()._options.dates
    click.echo(repr(dates and (dates.date, dates.datetime)))


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"URL": URL, "USERNAME": "u", "PASSWORD": "p"}.items():
        monkeypatch.setenv(f"CHARGEOVER_{name}", value)


def probed(*arguments: str) -> str:
    done = CliRunner().invoke(probe, list(arguments))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout.strip()


@pytest.mark.parametrize("url", [(), ("--url", URL)])
def test_the_option_is_before_the_environment(monkeypatch: pytest.MonkeyPatch, url: tuple[str]):
    """Each of the two by itself; without either it is ISO 8601."""
    assert probed(*url) == "None"
    assert probed(*url, "--date-format", DAY) == repr((DAY, DateFormat().datetime))
    monkeypatch.setenv("CHARGEOVER_DATE_FORMAT", DAY)
    assert probed(*url) == repr((DAY, DateFormat().datetime))
    monkeypatch.setenv("CHARGEOVER_DATETIME_FORMAT", MOMENT)
    assert probed(*url) == repr((DAY, MOMENT))
    assert probed(*url, "--date-format", "%m/%d/%Y") == repr(("%m/%d/%Y", MOMENT))
    monkeypatch.setenv("CHARGEOVER_DATE_FORMAT", " ")
    assert probed(*url) == repr((DateFormat().date, MOMENT))


def test_a_client_of_the_environment_reads_dates_so(monkeypatch: pytest.MonkeyPatch):
    """Unless it is given another format."""
    monkeypatch.setenv("CHARGEOVER_DATE_FORMAT", DAY)
    co = ChargeOver.from_env()
    assert co._options.dates == co._pipeline.dates == DateFormat(date=DAY)
    own = DateFormat(date="%Y/%m/%d")
    assert ChargeOver.from_env(dates=own)._pipeline.dates == own


def test_what_is_no_pattern_is_refused(monkeypatch: pytest.MonkeyPatch):
    """Before anything is asked."""
    monkeypatch.setenv("CHARGEOVER_DATETIME_FORMAT", "dd.mm.yyyy")
    with pytest.raises(UsageError, match=r"dd\.mm\.yyyy"):
        ChargeOver.from_env()
    monkeypatch.delenv("CHARGEOVER_DATETIME_FORMAT")
    with pytest.raises(UsageError, match="yy-mm"):
        probed("--date-format", "yy-mm")


@pytest.mark.parametrize("name", ["check", "export", "import", "sync"])
def test_every_command_that_reaches_an_account_has_the_options(name: str):
    """Wherever there is --url."""
    options = {option.opts[0] for option in cli.commands[name].params}
    assert {"--url", "--date-format", "--datetime-format"} <= options
