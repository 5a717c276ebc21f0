"""The lists that an account is set up with, its workers, its configuration, and its log.

Most of their pages were not available: the fields come from the vendor's C# client of 2019, what
they can be asked from a connector of a third party (amp-labs).
"""

from __future__ import annotations

from typing import Any, ClassVar

from chargeover_async.errors import UsageError
from chargeover_async.models._json.base import Mixed, Record
from chargeover_async.models._json.checks import check_json
from chargeover_async.models._json.read import read_untyped
from chargeover_async.models.account import (
    Admin,
    Brand,
    Campaign,
    Class,
    Country,
    Currency,
    ExchangeRate,
    ExchangeRateGet,
    ExchangeRateSet,
    Language,
    LogEntry,
    Terms,
)
from chargeover_async.operation import Operation
from chargeover_async.retry import Repeat

from ._calls.answers import read_true
from ._calls.base import BaseResource
from ._calls.kinds import Listable, Readable
from ._calls.lists import AllAtOnce, Unfiltered
from ._calls.options import ActionForm


class Brands(Readable[Brand], Unfiltered[Brand]):
    """``/brand``. Source: the vendor's C# client (list) and PHP client (get)."""

    object = "brand"
    attribute = "brands"
    model = Brand
    __slots__ = ()


class Campaigns(Unfiltered[Campaign]):
    """``/campaign``. Source: the vendor's C# client."""

    object = "campaign"
    attribute = "campaigns"
    model = Campaign
    __slots__ = ()


class Classes(Unfiltered[Class]):
    """``/class``. UNVERIFIED: known from the connector's list of objects only."""

    object = "class"
    attribute = "classes"
    model = Class
    __slots__ = ()


class Countries(Unfiltered[Country]):
    """``/country``. Source: the vendor's PHP and C# clients."""

    object = "country"
    attribute = "countries"
    model = Country
    __slots__ = ()


class Currencies(Unfiltered[Currency]):
    """``/currency``, and exchange rates. Source: the vendor's C# client."""

    object = "currency"
    attribute = "currencies"
    model = Currency
    writes: ClassVar = {
        "get_exchange_rate": ExchangeRateGet,
        "set_exchange_rate": ExchangeRateSet,
    }
    __slots__ = ()

    def get_exchange_rate(
        self, from_: str, to: str, *, form: ActionForm = "query"
    ) -> Operation[Mixed]:
        """The rate from one currency to another, both as ISO 4217 codes.

        Source: the vendor's PHP example. UNVERIFIED: no source shows the reply, so it comes as it
        is, numbers with a fraction as Decimal; nor the form ``"path"``.
        """
        return self._action(
            None,
            "getExchangeRate",
            Repeat.READ,
            verb="get_exchange_rate",
            fields=_between("get_exchange_rate", from_, to),
            reader=read_untyped,
            form=form,
        )

    def set_exchange_rate(
        self, from_: str, to: str, exchange: ExchangeRate, *, form: ActionForm = "path"
    ) -> Operation[bool]:
        """Set the rate from one currency to another, which is otherwise refreshed daily.

        Source: page "Set an exchange rate"; the vendor's PHP example writes it as ``"query"``.
        """
        self._need_positive("set_exchange_rate", exchange, "exchange")
        return self._action(
            None,
            "setExchangeRate",
            Repeat.IDEMPOTENT,
            verb="set_exchange_rate",
            fields={**_between("set_exchange_rate", from_, to), "exchange": exchange},
            form=form,
        )


def _between(verb: str, from_: str, to: str) -> dict[str, Any]:
    for name, code in (("from_", from_), ("to", to)):
        if not isinstance(code, str) or not code.strip():
            raise UsageError(f"currencies.{verb}: {name} must be an ISO 4217 code, not {code!r}")
    return {"from": from_, "to": to}


class Languages(Unfiltered[Language]):
    """``/language``. Source: the vendor's C# client."""

    object = "language"
    attribute = "languages"
    model = Language
    __slots__ = ()


class TermsList(Unfiltered[Terms]):
    """``/terms``. Source: page "List terms"."""

    object = "terms"
    attribute = "terms"
    model = Terms
    __slots__ = ()


class Admins(Readable[Admin], Listable[Admin]):
    """``/admin``: the workers; read-only in every source.

    Filtered by ``admin_id``, ``external_key``, ``email``, ``first_name`` and ``last_name``. Source:
    pages "Query for admin workers" and "Get a specific admin worker".
    """

    object = "admin"
    attribute = "admins"
    model = Admin
    __slots__ = ()


class Config(BaseResource[Record]):
    """``/_config``: settings of the account. Source: the vendor's PHP and Python clients."""

    object = "_config"
    attribute = "config"
    model = Record
    __slots__ = ()

    def set(self, key: str, value: Mixed) -> Operation[bool]:
        """Set one key, such as ``chargeoverjs_token``, the only one that a source shows.

        UNVERIFIED: the reply; whatever it is, the API called it OK.
        """
        if not isinstance(key, str) or not key.strip():
            raise UsageError(f"config.set takes a name and a value, not {key!r}")
        # Never in a message: values may be tokens.
        try:
            payload = check_json({key: value})
        except UsageError:
            raise UsageError(f"config.set: the value of {key!r} cannot be written") from None
        return self._call("POST", "/_config", read_true, Repeat.IDEMPOTENT, payload=payload)


class Log(AllAtOnce[LogEntry]):
    """``/_log_system``: the system log. Source: page "Retrieve the system log"."""

    object = "_log_system"
    attribute = "log"
    model = LogEntry
    primary = "log_id"
    __slots__ = ()


class Teapot(BaseResource[Record]):
    """``/teapot``: something to try credentials on. Source: vendor's text, "Authentication"."""

    object = "teapot"
    attribute = "teapot"
    model = Record
    __slots__ = ()

    def __call__(self) -> Operation[Mixed]:
        """Ask for it: ``await co.teapot()``; raises AuthFailed for wrong credentials.

        UNVERIFIED: no source shows the answer. Should it be the 418 that the name suggests, this
        raises BadRequest with ``status`` 418, and the credentials are good.
        """
        return self._call("GET", "/teapot", read_untyped, Repeat.READ)


__all__ = (
    "Admins",
    "Brands",
    "Campaigns",
    "Classes",
    "Config",
    "Countries",
    "Currencies",
    "Languages",
    "Log",
    "Teapot",
    "TermsList",
)
