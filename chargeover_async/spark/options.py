"""The options of a read or a write, as Spark hands them over: texts, in any case."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, cast

import msgspec

from chargeover_async._hints import did_you_mean
from chargeover_async.cluster import Connect, Login, Part, plan_parts, read_accounts
from chargeover_async.cluster.connect import PREFIX
from chargeover_async.errors import UsageError
from chargeover_async.limits import QuotaSettings
from chargeover_async.models import DateFormat

ACCOUNT = (
    "object",
    "url",
    "login",
    "quota",
    "quotaShare",
    "dateFormat",
    "datetimeFormat",
    "insecureHttp",
)
READ = (
    *ACCOUNT,
    "accounts",
    "accountColumn",
    "where",
    "fields",
    "nested",
    "moments",
    "splitBy",
    "parts",
    "pushFilters",
)
STREAM = (*READ, "overlap")
WRITE = (*ACCOUNT, "key", "existing", "empty", "failures", "results", "maxRefused")
_QUOTA = re.compile(r"\s*([1-9][0-9]{0,6})\s*/\s*([0-9]{1,5}(?:\.[0-9]+)?)\s*", re.ASCII)
ENGINES = {"path", "checkpointlocation"}  # put there by Spark itself
SECRET = {"username", "user", "password", "token", "secret", "privatekey", "auth"}


class Options:
    """Options by name, each checked when it is asked for.

    Raises UsageError for a credential, which Spark's pages would show, and for a name that is
    nearly one of ``known``. Others are left to the engine, which has names of its own.
    """

    def __init__(self, given: Mapping[str, str], known: Iterable[str]) -> None:
        names = {name.lower(): name for name in known}
        self._given: dict[str, str] = {}
        for name, value in given.items():
            lower = name.lower()
            if lower in SECRET:
                raise UsageError(
                    f'option "{name}": no credentials in options, which the UI and the event log '
                    "show: set CHARGEOVER_USERNAME and CHARGEOVER_PASSWORD in the environment of "
                    'driver and executors, or name a function by login="package.module:function"'
                )
            hint = "" if lower in names or lower in ENGINES else did_you_mean(lower, names)
            if hint:
                raise UsageError(f'there is no option "{name}"{hint}')
            self._given[lower] = str(value)

    def text(self, name: str, default: str | None = None) -> str | None:
        """The text of an option."""
        return self._given.get(name.lower()) or default

    def needed(self, name: str) -> str:
        """The same of one that there must be."""
        value = self.text(name)
        if value is None:
            raise UsageError(f'set the option "{name}"')
        return value

    def flag(self, name: str) -> bool:
        """True or false."""
        value = (self.text(name) or "false").lower()
        if value not in {"true", "false"}:
            raise UsageError(f'option "{name}" must be true or false, not "{value}"')
        return value == "true"

    def number(self, name: str, default: int) -> int:
        """A whole number from 0."""
        value = self.text(name)
        if value is not None and not (value.isascii() and value.isdigit()):
            raise UsageError(f'option "{name}" must be a whole number, not "{value}"')
        return default if value is None else int(value)

    def words(self, name: str) -> list[str] | None:
        """Several words: separated by commas, or a JSON list."""
        value = self.text(name)
        if value is None:
            return None
        if value.lstrip().startswith("["):
            return _json_list(name, value)
        return [word.strip() for word in value.split(",")]

    def filters(self) -> list[str]:
        """``where``: one filter, or a JSON list of several, which must all hold."""
        value = self.text("where")
        if value is None:
            return []
        return _json_list("where", value) if value.lstrip().startswith("[") else [value]

    def quota(self) -> QuotaSettings | None:
        """``quota``: requests and seconds, as in "250/60", for an account that has another one."""
        value = self.text("quota")
        if value is None:
            return None
        match = _QUOTA.fullmatch(value)
        if match is None:
            raise UsageError(f'option "quota" must be like 250/60 (seconds), not "{value}"')
        return QuotaSettings(limit=int(match[1]), window_s=float(match[2]))

    # -- what they mean together -----------------------------------------------------------------

    def connects(self) -> list[Connect]:
        """The account, or those of a file."""
        common: dict[str, Any] = {"insecure_http": self.flag("insecureHttp")}
        common["quota"] = self.quota()
        formats = {name: self.text(f"{name}Format") for name in ("date", "datetime")}
        given = {name: pattern for name, pattern in formats.items() if pattern is not None}
        common["dates"] = DateFormat(**given) if given else None
        share = self.text("quotaShare", os.environ.get("CHARGEOVER_QUOTA_SHARE", "").strip())
        common["quota_share"] = share or None
        path = self.text("accounts")
        if path is not None:
            if self.text("url") is not None:
                raise UsageError('set the option "url" or "accounts", not both')
            return read_accounts(path, **common)
        login = _login(self.text("login", PREFIX) or PREFIX)
        url = self.text("url")
        if url is None and isinstance(login, str):
            return [Connect.from_env(login=login, **common)]
        return [Connect(url=url or self.needed("url"), login=login, **common)]

    def account_column(self) -> str | None:
        """The name of a column with the account's name, which a file of accounts has."""
        return self.text("accountColumn", None if self.text("accounts") is None else "account")

    def parts(self, fields: list[str] | None = None, *, split: bool = True) -> list[Part]:
        """What is to be read; ``fields`` for those of a schema that was given.

        Unless they are ``split`` by ids no request is sent.
        """
        by = self.text("splitBy", "account") if split else "account"
        return plan_parts(
            self.needed("object"),
            self.connects(),
            split_by=cast("Any", by),
            parts=self.number("parts", 4),
            where=self.filters(),
            fields=fields if fields is not None else self.words("fields"),
            nested=self.flag("nested"),
            account_column=self.account_column(),
            moments=cast("Any", self.text("moments", "local")),
        )


def _login(text: str) -> str | Login:
    module, colon, name = text.partition(":")
    if not colon:
        return text
    try:
        return cast("Login", getattr(import_module(module), name))
    except (ImportError, AttributeError) as error:
        raise UsageError(f'option "login": {text} cannot be imported: {error}') from None


def _json_list(name: str, text: str) -> list[str]:
    try:
        return msgspec.json.decode(text, type=list[str])
    except msgspec.DecodeError:
        raise UsageError(
            f'option "{name}" must be a text, or a JSON list of texts, not {text}'
        ) from None


__all__ = ("READ", "STREAM", "WRITE", "Options")
