"""Subscriptions, which the API calls packages.

Source: the vendor's pages on subscriptions; recordings `one_recurring_package`,
`upgrade_a_package`, `update_package_payment_method` and others.

An action has two spellings. The recordings and the vendor's clients have ``?action=paymethod``,
newer pages ``/_action/setPayMethod``; the recorded one is sent, and ``form="path"`` sends the
other.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypedDict, Unpack

import msgspec

from chargeover_async.errors import UsageError
from chargeover_async.models import (
    Created,
    PayMethodFields,
    Subscription,
    SubscriptionCancel,
    SubscriptionCreate,
    SubscriptionLineUpgrade,
    SubscriptionSuspend,
    SubscriptionUpdate,
    SubscriptionUpgrade,
)
from chargeover_async.models._json.checks import Day, Integer, Moment, Text
from chargeover_async.models._json.read import read_untyped
from chargeover_async.operation import Operation
from chargeover_async.retry import Repeat
from chargeover_async.vocabulary import NEXT_SCHEDULED_INVOICE

from ._calls.answers import read_created, read_true
from ._calls.expanding import Expandable
from ._calls.options import ActionForm
from ._calls.target import Target
from ._calls.upserting import Upserted, upsert


class _PayCycle(TypedDict, total=False):
    paycycle: Text


class _InvoiceNow(TypedDict, total=False):
    date: Day


class _Hold(TypedDict, total=False):
    holduntil_datetime: Moment


class _Welcome(TypedDict, total=False):
    message_id: Integer


def _read_invoiced(raw: msgspec.Raw) -> Created | bool:
    return read_created(raw) if isinstance(read_untyped(raw), dict) else read_true(raw)


class Subscriptions(Expandable[Subscription]):
    """``/package``; also ``co.packages``."""

    object = "package"
    attribute = "subscriptions"
    model = Subscription
    writes: ClassVar = {
        "create": SubscriptionCreate,
        "update": SubscriptionUpdate,
        "upgrade": SubscriptionUpgrade,
        "set_paymethod": PayMethodFields,
        "set_paycycle": _PayCycle,
        "invoice_now": _InvoiceNow,
        "suspend": SubscriptionSuspend,
        "cancel": SubscriptionCancel,
        "hold": _Hold,
        "send_welcome": _Welcome,
    }
    __slots__ = ()

    def create(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[SubscriptionCreate]
    ) -> Operation[Created]:
        """Create a subscription; as a rule its first invoice comes the next day.

        Naming a stored card, account or token pays by it; naming none sends invoices. Without
        ``paycycle`` the account's default applies. Source: page "Create a subscription"; no
        recording. UNVERIFIED: which fields must be sent.
        """
        return self._create(fields, extra)

    def update(
        self,
        target: Target,
        *,
        extra: Mapping[str, Any] | None = None,
        **fields: Unpack[SubscriptionUpdate],
    ) -> Operation[Created]:
        """Change the fields given; lines, payment method, cycle and dates have actions.

        Source: recordings `update_custom_1`, `update_package_attributes`.
        """
        return self._update(target, fields, extra)

    def upsert(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[SubscriptionCreate]
    ) -> Coroutine[Any, Any, Upserted]:
        """The subscription with this key as the fields say: created, or changed to them.

        Costs one call for a new one; else it is looked at, and changed in the fields that differ,
        as far as an update takes them. Await it; in a bulk scope its calls travel with the others.
        Raises UsageError without a key, and what `create`, `get` and `update` raise.
        """
        return upsert(self, fields, extra)

    def get_or_create(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[SubscriptionCreate]
    ) -> Coroutine[Any, Any, Upserted]:
        """The subscription with this ``external_key``, created with the fields if there is none.

        One that is there is neither changed nor compared. Otherwise as `upsert`.
        """
        return upsert(self, fields, extra, change=False)

    def upgrade(
        self,
        target: Target,
        line_items: Sequence[SubscriptionLineUpgrade],
        *,
        extra: Mapping[str, Any] | None = None,
        form: ActionForm = "query",
    ) -> Operation[bool]:
        """Replace, add and drop lines; also the way to change a price (``tierset`` in the line).

        A line that names a ``line_item_id`` comes back under a new one, lines left out stay. Never
        sent twice by itself: a second time would add the new lines again.
        Source: recordings `upgrade_a_package`, `add_line_item`, `update_package_line_item`.
        """
        if isinstance(line_items, Iterable) and not isinstance(line_items, (str, Mapping)):
            line_items = list(line_items)
            if not line_items:
                raise UsageError("subscriptions.upgrade needs at least one entry in line_items")
        fields = {"line_items": line_items}
        return self._action(
            target, "upgrade", Repeat.ONCE, verb="upgrade", fields=fields, extra=extra, form=form
        )

    def set_paymethod(
        self,
        target: Target,
        *,
        extra: Mapping[str, Any] | None = None,
        form: ActionForm = "query",
        **fields: Unpack[PayMethodFields],
    ) -> Operation[bool]:
        """Set how it is paid: ``crd`` with a card's id, ``ach`` or ``tok`` with theirs, or ``inv``.

        Sent as ``?action=paymethod`` (recording `update_package_payment_method`), in the path as
        ``setPayMethod`` (page "Set the payment method"). Raises UsageError without ``paymethod``.
        """
        self._need("set_paymethod", fields, extra, "paymethod")
        return self._action(
            target,
            "paymethod",
            Repeat.IDEMPOTENT,
            verb="set_paymethod",
            fields=fields,
            extra=extra,
            form=form,
            in_path="setPayMethod",
        )

    def set_paycycle(
        self,
        target: Target,
        paycycle: str,
        *,
        extra: Mapping[str, Any] | None = None,
        form: ActionForm = "query",
    ) -> Operation[bool]:
        """Set the cycle (`PayCycle`); the next invoice's date is computed anew, prices stay.

        Sent as ``?action=paycycle`` (recording `update_package_payment_cycle`), in the path as
        ``setPayCycle`` (page "Change the payment cycle").
        """
        fields = {"paycycle": paycycle}
        self._need("set_paycycle", fields, None, "paycycle")
        return self._action(
            target,
            "paycycle",
            Repeat.IDEMPOTENT,
            verb="set_paycycle",
            fields=fields,
            extra=extra,
            form=form,
            in_path="setPayCycle",
        )

    def invoice_now(
        self,
        target: Target,
        *,
        date: dt.date | str | None = None,
        extra: Mapping[str, Any] | None = None,
        form: ActionForm = "query",
    ) -> Operation[Created | bool]:
        """Make the invoice now, dated today, ``date`` or `NEXT_SCHEDULED_INVOICE`.

        Never sent twice by itself. UNVERIFIED: the page answers true, a client of the vendor reads
        an id; whichever comes is returned. Source: page "Invoice a subscription now".
        """
        fields: dict[str, Any] = {}
        if isinstance(date, str) and date == NEXT_SCHEDULED_INVOICE:
            extra = {**(extra or {}), "date": date}  # no date, so the check of dates refuses it
        elif date is not None:
            fields["date"] = date
        return self._action(
            target,
            "invoice",
            Repeat.ONCE,
            verb="invoice_now",
            fields=fields,
            extra=extra,
            reader=_read_invoiced,
            form=form,
        )

    def suspend(
        self,
        target: Target,
        *,
        extra: Mapping[str, Any] | None = None,
        form: ActionForm = "query",
        **fields: Unpack[SubscriptionSuspend],
    ) -> Operation[bool]:
        """Suspend it, from now or ``suspendfrom_datetime``, without end or to another moment.

        Source: page "Suspend a subscription"; no recording.
        """
        return self._action(
            target,
            "suspend",
            Repeat.IDEMPOTENT,
            verb="suspend",
            fields=fields,
            extra=extra,
            form=form,
        )

    def unsuspend(self, target: Target, *, form: ActionForm = "query") -> Operation[bool]:
        """Lift a suspension. Source: a client of the vendor; no recording."""
        return self._action(target, "unsuspend", Repeat.IDEMPOTENT, verb="unsuspend", form=form)

    def cancel(
        self,
        target: Target,
        *,
        extra: Mapping[str, Any] | None = None,
        form: ActionForm = "query",
        **fields: Unpack[SubscriptionCancel],
    ) -> Operation[bool]:
        """Cancel it now or on ``cancel_date``; its lines stay.

        Never sent twice by itself: what a second time answers, or mails, is UNVERIFIED.
        Source: recording `cancel_package`.
        """
        return self._action(
            target, "cancel", Repeat.ONCE, verb="cancel", fields=fields, extra=extra, form=form
        )

    def uncancel(self, target: Target, *, form: ActionForm = "path") -> Operation[bool]:
        """Bring a cancelled subscription back.

        UNVERIFIED: only ``/_action/uncancel`` is shown, by one source, without an answer.
        """
        return self._action(target, "uncancel", Repeat.ONCE, verb="uncancel", form=form)

    def hold(
        self,
        target: Target,
        holduntil_datetime: dt.date | str,
        *,
        extra: Mapping[str, Any] | None = None,
        form: ActionForm = "query",
    ) -> Operation[bool]:
        """Put the next invoice off until a date, which is stored as its midnight.

        Source: recording `update_package_invoice_date`.
        """
        fields = {"holduntil_datetime": holduntil_datetime}
        self._need("hold", fields, None, "holduntil_datetime")
        return self._action(
            target, "hold", Repeat.IDEMPOTENT, verb="hold", fields=fields, extra=extra, form=form
        )

    def send_welcome(
        self,
        target: Target,
        *,
        message_id: int | None = None,
        extra: Mapping[str, Any] | None = None,
        form: ActionForm = "query",
    ) -> Operation[bool]:
        """Mail the welcome message, from the template ``message_id`` if one is given.

        Source: clients of the vendor. UNVERIFIED: ``form="path"``, which no source shows.
        """
        fields = {} if message_id is None else {"message_id": message_id}
        return self._action(
            target,
            "welcome",
            Repeat.ONCE,
            verb="send_welcome",
            fields=fields,
            extra=extra,
            form=form,
        )


__all__ = ("Subscriptions",)
