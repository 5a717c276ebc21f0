"""The constants are the documented words, each once."""

from __future__ import annotations

from typing import Any

import pytest
from support.documented import FOLDER, tables

from chargeover_async import vocabulary
from chargeover_async.vocabulary import (
    AchType,
    AutoApply,
    CardType,
    CouponType,
    CustomerState,
    CustomerStatus,
    CustomFieldType,
    Delivery,
    GatewayMethod,
    GatewayStatus,
    InvoiceState,
    InvoiceStatus,
    ItemType,
    LoginDestination,
    NoteContext,
    PayCycle,
    PayMethod,
    PricingModel,
    QuoteState,
    QuoteStatus,
    ServiceDatesType,
    ServiceDatesVisibility,
    SubscribeProrateCycle,
    SubscriptionState,
    SubscriptionStatus,
    TransactionState,
    TransactionStatus,
    TransactionType,
    UsageType,
)

CLASSES: dict[str, Any] = {
    "ach.type": AchType,
    "coupon.type": CouponType,
    "creditcard.type": CardType,
    "customer.customer_status_state": CustomerState,
    "customer.customer_status_str": CustomerStatus,
    "customer.default_paymethod": PayMethod,
    "customer.dunning_delivery": Delivery,
    "customer.invoice_delivery": Delivery,
    "customfield.type": CustomFieldType,
    "invoice.invoice_status_state": InvoiceState,
    "invoice.invoice_status_str": InvoiceStatus,
    "invoice.schedule.paymethod": PayMethod,
    "item.item_type": ItemType,
    "item.paycycle": PayCycle,
    "item.pricemodel": PricingModel,
    "item.service_dates_type": ServiceDatesType,
    "item.service_dates_visibility": ServiceDatesVisibility,
    "note.context_str": NoteContext,
    "package.package_status_state": SubscriptionState,
    "package.package_status_str": SubscriptionStatus,
    "package.paycycle": PayCycle,
    "package.paymethod": PayMethod,
    "package.pricemodel": PricingModel,
    "package.subscribe_prorate_cycle": SubscribeProrateCycle,
    "package.tierset.paycycle_extra": PayCycle,
    "quote.paycycle": PayCycle,
    "quote.quote_status_state": QuoteState,
    "quote.quote_status_str": QuoteStatus,
    "tierset.paycycle": PayCycle,
    "tierset.pricemodel": PricingModel,
    "tokenized.paymethod_hint": PayMethod,
    "tokenized.type_hint": CardType,
    "transaction.auto_apply": AutoApply,
    "transaction.gateway_method": GatewayMethod,
    "transaction.gateway_status": GatewayStatus,
    "transaction.transaction_status_state": TransactionState,
    "transaction.transaction_status_str": TransactionStatus,
    "transaction.transaction_type": TransactionType,
    "usage.type": UsageType,
    "user.destination": LoginDestination,
}
# Lists that are no vocabulary, and why.
NO_WORDS = {
    "config.keys_seen": "one key that an example sets",
    "currency.currency_id_seen": "ids of one account",
    "item.revenue recognition method (field name not shown)": "the field has no name",
    "package.package_status_id_seen": "ids of one account; their strings are constants",
    "report.known_report_ids": "ids of one account",
    "report.php_formats": "of the PHP client, not of the API",
    "resthook.event_seen_in_subscribe_examples": "webhook events have a module of their own",
    "terms.example_records": "records of one account",
    "user.user_type_name": "names that an account gives",
}


def words(kind: Any) -> list[str]:
    return [str(value) for name, value in vars(kind).items() if name.isupper()]


def documented() -> dict[str, set[str]]:
    return {
        f"{name}.{field}": set(values)
        for name, table in tables().items()
        for field, values in (table.get("enums") or {}).items()
    }


@pytest.mark.skipif(not FOLDER.exists(), reason=f"the tables are not there ({FOLDER})")
def test_every_documented_word_is_a_constant_and_none_is_invented():
    """A class may serve several fields; together they document exactly its words."""
    found = documented()
    assert set(found) == {*CLASSES, *NO_WORDS}
    for field, kind in CLASSES.items():
        assert found[field] <= set(words(kind)), field
    for kind in set(CLASSES.values()):
        shown = set().union(*(found[field] for field, type_ in CLASSES.items() if type_ is kind))
        assert set(words(kind)) == shown, kind


@pytest.mark.parametrize("kind", sorted(set(CLASSES.values()), key=lambda one: one.__name__))
def test_a_word_has_one_name(kind: Any):
    """Two names for one word would be a mistake in one of them."""
    assert len(words(kind)) == len(set(words(kind))) > 0


def test_every_class_is_checked():
    """A class that stands for no documented field would be a rumour."""
    classes = {name for name in vocabulary.__all__ if isinstance(getattr(vocabulary, name), type)}
    assert classes == {class_.__name__ for class_ in CLASSES.values()}
