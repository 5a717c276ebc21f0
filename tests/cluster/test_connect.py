"""How tasks reach an account: nothing that travels holds credentials."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path

import pytest
from support.cluster_world import account, connect_to

from chargeover_async import AuthFailed, UsageError
from chargeover_async.cluster import Connect, FileLogin, read_accounts

URL = "https://acme.chargeover.com/api/v3"
ACCOUNTS = """
[acme]
url = "https://acme.chargeover.com/api/v3"
login = "ACME"

[umbrella]
url = "https://umbrella.chargeover.com/api/v3/"
username = "somebody"
password = "hunter22"
quota_share = "redis://quota:6379/0"
"""


def test_the_environment_of_the_driver_says_which_account(monkeypatch: pytest.MonkeyPatch):
    """And that of the task, who."""
    monkeypatch.delenv("ACME_USERNAME", raising=False)
    monkeypatch.setenv("ACME_URL", URL)
    monkeypatch.setenv("ACME_QUOTA_SHARE", "redis://quota/0")
    connect = Connect.from_env(login="ACME")
    assert (connect.url, connect.quota_share, connect.account) == (
        URL,
        "redis://quota/0",
        "acme.chargeover.com",
    )
    monkeypatch.setenv("ACME_PASSWORD", "hunter22")
    with pytest.raises(UsageError, match="ACME_USERNAME in the environment of the tasks"):
        connect.open()
    monkeypatch.setenv("ACME_USERNAME", "somebody")
    assert connect.open().url == URL
    monkeypatch.delenv("ACME_URL")
    with pytest.raises(UsageError, match="ACME_URL"):
        Connect.from_env(login="ACME")


def test_a_url_that_is_none_is_refused_at_once():
    for url in ("", "acme.chargeover.com", "/api/v3"):
        with pytest.raises(UsageError, match="url"):
            Connect(url=url)


def test_accounts_of_a_file(tmp_path: Path):
    path = tmp_path / "accounts.toml"
    path.write_text(ACCOUNTS)
    acme, umbrella = read_accounts(path, quota_share="redis://all:6379/0")
    assert (acme.account, acme.login, acme.quota_share) == ("acme", "ACME", "redis://all:6379/0")
    assert umbrella.quota_share == "redis://quota:6379/0"
    assert umbrella.open().url == "https://umbrella.chargeover.com/api/v3"
    for shown in (repr(umbrella), pickle.dumps(umbrella)):
        assert b"hunter22" not in (shown if isinstance(shown, bytes) else shown.encode())
    path.unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        umbrella.open()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no account"),
        ("url = 'x'", "must stand in the table"),
        ("[a]\nlogin = 'A'", "url is missing"),
        (f"[a]\nurl = '{URL}'\nuser = 'x'", "user not known"),
        (f"[a]\nurl = '{URL}'\nusername = 'x'", "not a mixture"),
        (f"[a]\nurl = '{URL}'\nusername = 'x'\npassword = 'y'\nlogin = 'A'", "not a mixture"),
        (f"[a]\nurl = '{URL}'\n[b]\nurl = '{URL}/'", "the same url"),
        ("[a", "no TOML"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, said: str):
    path = tmp_path / "accounts.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        read_accounts(path)


def test_an_account_that_left_the_file_is_refused_in_the_task(tmp_path: Path):
    path = tmp_path / "accounts.toml"
    path.write_text(ACCOUNTS)
    with pytest.raises(UsageError, match=r"\[gone\]"):
        FileLogin(str(path), "gone")()


async def test_one_request_shows_that_the_credentials_are_right():
    async with account() as (sandbox, connect):
        assert await asyncio.to_thread(connect.check) == 0
        assert len(sandbox.log) == 1
        wrong = connect_to(sandbox, login=FileLogin(__file__, "x"))
        with pytest.raises(UsageError):
            await asyncio.to_thread(wrong.check)
        with pytest.raises(AuthFailed):
            await asyncio.to_thread(connect_to(sandbox, login=_nobody).check)


def _nobody() -> tuple[str, str]:
    return "nobody", "wrong"
