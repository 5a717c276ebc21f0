"""How a task reaches an account: what travels to it, and what is found out only there."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self, cast
from urllib.parse import urlsplit

import msgspec

from chargeover_async.client import ChargeOver
from chargeover_async.errors import UsageError
from chargeover_async.limits import Limiter, QuotaSettings
from chargeover_async.models._json.mend import DateFormat
from chargeover_async.retry import RetryPolicy

from .loop import running_loop

PREFIX = "CHARGEOVER"
_KEYS = {
    "url",
    "username",
    "password",
    "login",
    "quota_share",
    "date_format",
    "datetime_format",
}


class Login(Protocol):
    """Gives (user name, password), asked inside the task; it travels there, so it is picklable."""

    def __call__(self) -> tuple[str, str]:
        """Look them up in a vault, a file, the environment."""
        ...


class FileLogin(msgspec.Struct, frozen=True):
    """The user name and password of one account of a file (`read_accounts`), read in the task."""

    path: str
    account: str

    def __call__(self) -> tuple[str, str]:
        """Raises UsageError if the file or the account is not there."""
        entry = _tables(Path(self.path)).get(self.account, {})
        found = tuple(str(entry.get(name, "")) for name in ("username", "password"))
        if not all(found):
            raise UsageError(f"{self.path} has no username and password for [{self.account}]")
        return cast("tuple[str, str]", found)


class Connect(msgspec.Struct, frozen=True, kw_only=True):
    """An account, as it travels to tasks; it holds no credentials.

    ``url`` looks like ``https://example.chargeover.com/api/v3``. ``login`` says where the task
    finds the user name and the password: the beginning of the names of two environment variables
    (``"CHARGEOVER"``: CHARGEOVER_USERNAME and CHARGEOVER_PASSWORD), or a picklable callable that
    gives both (`Login`). ``quota_share`` is as for `ChargeOver`: a URL of Redis for many machines,
    a file for one; it is required where more than one task works on the account at a time.
    ``account`` names it in reports and in an account column; left out, it is the URL's host.

    ``quota``, ``retry``, ``dates`` and ``insecure_http`` are handed to `ChargeOver`.
    Raises UsageError for a URL that is none.
    """

    url: str
    login: str | Login = PREFIX
    quota_share: str | None = None
    account: str = ""
    quota: QuotaSettings | None = None
    retry: RetryPolicy | None = None
    dates: DateFormat | None = None
    insecure_http: bool = False

    def __post_init__(self) -> None:
        host = urlsplit(self.url).hostname
        if not host:
            raise UsageError(
                f"url must be like https://example.chargeover.com/api/v3, not {self.url!r}"
            )
        if not self.account:
            msgspec.structs.force_setattr(self, "account", host)

    def __repr__(self) -> str:
        # No login: a callable of the user's own may show what it holds.
        share = f" quota_share={self.quota_share!r}" if self.quota_share else ""
        return f"<Connect {self.url}{share}>"

    @classmethod
    def from_env(cls, *, login: str = PREFIX, **options: Any) -> Self:
        """The account of CHARGEOVER_URL and CHARGEOVER_QUOTA_SHARE of this process.

        User name and password are not read here but in the task, which needs those variables, too.
        ``login`` is the beginning of all four names.
        """
        url = os.environ.get(f"{login}_URL", "").strip()
        if not url and "url" not in options:
            raise UsageError(f"set {login}_URL in the environment")
        share = os.environ.get(f"{login}_QUOTA_SHARE", "").strip() or None
        given: dict[str, Any] = {"url": url, "login": login, "quota_share": share, **options}
        return cls(**given)

    def open(self, *, limiter: Limiter | None = None) -> ChargeOver:
        """The client, with a quota of its own unless a ``limiter`` is given.

        Raises UsageError when the credentials are not there, naming what is missing.
        """
        username, password = self._credentials()
        return ChargeOver(
            self.url,
            username,
            password,
            limiter=limiter,
            quota=self.quota if limiter is None else None,
            quota_share=self.quota_share if limiter is None else None,
            retry=self.retry,
            dates=self.dates,
            insecure_http=self.insecure_http,
        )

    def _credentials(self) -> tuple[str, str]:
        if not isinstance(self.login, str):
            return self.login()
        names = (f"{self.login}_USERNAME", f"{self.login}_PASSWORD")
        missing = [name for name in names if not os.environ.get(name, "").strip()]
        if missing:
            raise UsageError(f"set {', '.join(missing)} in the environment of the tasks")
        return os.environ[names[0]], os.environ[names[1]]

    def check(self) -> int:
        """Show with one request that URL and credentials are right; the number of customers.

        To be called once before the tasks start: wrong credentials show here, and not as a failure
        of every task; and a quota that is shared for the first time has its minute of waiting while
        the engine still plans. Raises what a direct call raises.
        """
        with running_loop() as loop:
            return loop.run(self._check())

    async def _check(self) -> int:
        async with self.open() as co:
            return int(await co.customers.count())


def read_accounts(path: str | os.PathLike[str], **options: Any) -> list[Connect]:
    """The accounts of a TOML file, in its order; ``options`` are those of `Connect`, for all.

    ::

        [acme]
        url = "https://acme.chargeover.com/api/v3"
        login = "ACME"                             # ACME_USERNAME and ACME_PASSWORD, or both here:
        # username = "..."
        # password = "..."
        quota_share = "redis://quota:6379/0"       # optional, as are the formats of dates:
        date_format = "%d.%m.%Y"
        datetime_format = "%d.%m.%Y %H:%M"

    Credentials in the file are read in the task, where the file must be, too: they do not travel.
    Raises UsageError for a file that cannot be read, for keys that are not known, and for two
    accounts with one URL, whose records would be there twice.
    """
    connects: list[Connect] = []
    urls: dict[str, str] = {}
    for name, entry in _tables(Path(path)).items():
        unknown = sorted(set(entry) - _KEYS)
        if unknown or not isinstance(entry.get("url"), str):
            wrong = f"{', '.join(unknown)} not known" if unknown else "url is missing"
            raise UsageError(f"{os.fspath(path)}: [{name}]: {wrong}")
        holds = {"username", "password"} & set(entry)
        if len(holds) == 1 or (holds and "login" in entry):
            raise UsageError(
                f"{os.fspath(path)}: [{name}]: give username and password, or login, not a mixture"
            )
        url = entry["url"].rstrip("/")
        if url in urls:
            raise UsageError(f"{os.fspath(path)}: [{name}] and [{urls[url]}] have the same url")
        urls[url] = name
        given: dict[str, Any] = {**options, "url": url, "account": name}
        given["login"] = FileLogin(os.fspath(path), name) if holds else entry.get("login", PREFIX)
        formats = {
            name: entry[f"{name}_format"]
            for name in ("date", "datetime")
            if f"{name}_format" in entry
        }
        if formats:
            given["dates"] = DateFormat(**formats)
        if "quota_share" in entry:
            given["quota_share"] = entry["quota_share"]
        connects.append(Connect(**given))
    if not connects:
        raise UsageError(f"{os.fspath(path)} holds no account: write [name] and url = ...")
    return connects


def _tables(path: Path) -> dict[str, Mapping[str, Any]]:
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no TOML file: {error}") from None
    loose = [name for name, value in found.items() if not isinstance(value, dict)]
    if loose:
        raise UsageError(f"{path}: {', '.join(loose)} must stand in the table of an account")
    return found


__all__ = ("Connect", "FileLogin", "Login", "read_accounts")
