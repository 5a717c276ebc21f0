"""The words that the API knows, as constants with their meaning.

They are plain text, so they compare with what a record holds and go wherever a field takes text.
No list is closed: an account may answer words that are not here, and those pass unchanged.

Source: the vendor's pages on each object and the recordings; where a page gives a word without its
meaning, so do we.
"""

from __future__ import annotations

from typing import Final

NEXT_SCHEDULED_INVOICE: Final = "NEXT_SCHEDULED_INVOICE"
"""As the date of `Subscriptions.invoice_now`: the one the next invoice would have anyway."""


class AchType:
    """``type`` of a bank account."""

    CHECKING: Final = "chec"
    """Personal checking."""
    BUSINESS_CHECKING: Final = "busi"
    """Business checking."""
    SAVINGS: Final = "savi"
    """Savings."""


class AutoApply:
    """How a transaction finds its invoices (``auto_apply``)."""

    BEST_FIT: Final = "best_fit"
    """Those that match best by amount and date."""


class CardType:
    """``type`` of a stored card, ``type_hint`` of a token."""

    VISA: Final = "visa"
    """Visa."""
    MASTERCARD: Final = "mast"
    """MasterCard."""
    DISCOVER: Final = "disc"
    """Discover."""
    AMERICAN_EXPRESS: Final = "amex"
    """American Express."""


class CouponType:
    """``type`` of a coupon."""

    DISCOUNT: Final = "give-a-discount"
    """It lowers the price."""
    FREE_TRIAL: Final = "free-trial"
    """It gives a free trial."""


class CustomFieldType:
    """``type`` of a custom field."""

    STRING: Final = "string"
    """One line of text."""
    SELECT: Final = "select"
    """A choice from a list."""
    DATE: Final = "date"
    """A date."""
    NUMBER: Final = "number"
    """A number."""


class CustomerState:
    """``customer_status_state``."""

    ACTIVE: Final = "a"
    """Active."""
    INACTIVE: Final = "i"
    """Inactive, by hand or for lack of activity."""


class CustomerStatus:
    """``customer_status_str``."""

    ACTIVE_CURRENT: Final = "active-current"
    """Active, nothing overdue."""
    ACTIVE_OVERDUE: Final = "active-overdue"
    """Active, with an overdue balance."""
    INACTIVE_MANUAL: Final = "inactive-manual"
    """Marked inactive by hand."""
    INACTIVE_ACTIVITY: Final = "inactive-activity"
    """No recent activity."""


class Delivery:
    """How mail reaches a customer (``invoice_delivery``, ``dunning_delivery``)."""

    EMAIL: Final = "email"
    """By e-mail."""
    PRINT: Final = "print"
    """On paper, through a print vendor."""


class GatewayMethod:
    """``gateway_method`` of a transaction."""

    VISA: Final = "visa"
    """A Visa card."""
    MASTERCARD: Final = "mastercard"
    """A MasterCard."""
    AMERICAN_EXPRESS: Final = "american-express"
    """An American Express card."""
    DISCOVER: Final = "discover"
    """A Discover card."""
    CHECK: Final = "check"
    """A check; shown as Paid by Check."""
    PAYPAL: Final = "paypal"
    """PayPal."""
    CREDIT: Final = "credit"
    """A credit memo; shown as Credits."""
    ACH: Final = "ach"
    """A bank account."""


class GatewayStatus:
    """``gateway_status`` of a transaction; numbers."""

    FAILURE: Final = 0
    """It was declined."""
    SUCCESS: Final = 1
    """It went well."""


class InvoiceState:
    """``invoice_status_state``."""

    OPEN: Final = "o"
    """Money is still due."""
    CLOSED: Final = "c"
    """Nothing is due."""


class InvoiceStatus:
    """``invoice_status_str``."""

    UNPAID: Final = "open-unpaid"
    """Due, not overdue."""
    OVERDUE: Final = "open-overdue"
    """Past its due date."""
    COLLECTIONS: Final = "open-collections"
    """Handed to collections."""
    VOID: Final = "closed-void"
    """Voided."""
    PAID: Final = "closed-paid"
    """Paid."""


class ItemType:
    """``item_type``."""

    SERVICE: Final = "service"
    """A service."""
    DISCOUNT: Final = "discount"
    """A discount."""
    PRODUCT: Final = "product"
    """A product; in one client only."""


class LoginDestination:
    """Where a login leads to (``destination``)."""

    SUBSCRIPTIONS: Final = "subscriptions"
    """The list of subscriptions."""
    INVOICES: Final = "invoices"
    """The list of invoices."""
    PAYMENTS: Final = "payments"
    """The list of payments."""
    INFO: Final = "info"
    """Company, name and phone."""
    PAYMETHODS: Final = "paymethods"
    """The payment methods."""
    NEW_CREDITCARD: Final = "paymethods-creditcard"
    """The same, asking for a new card."""
    NEW_ACH: Final = "paymethods-ach"
    """The same, asking for a new bank account."""
    PASSWORD: Final = "password"  # noqa: S105 - the name of a page
    """The change of the password."""


class NoteContext:
    """What a note is about (``context_str``)."""

    CUSTOMER: Final = "customer"
    """A customer."""
    SUBSCRIPTION: Final = "billing_package"
    """A subscription."""
    INVOICE: Final = "invoice"
    """An invoice."""
    USER: Final = "user"
    """A contact."""
    QUOTE: Final = "quote"
    """A quote."""
    ITEM: Final = "item"
    """An item."""


class PayCycle:
    """How often a subscription is invoiced, and what an amount is for."""

    EVERY_CYCLE: Final = "evy"
    """Prices only: for every billing cycle, whichever the subscription has."""
    ONE_TIME: Final = "one"
    """Quotes only: one invoice."""
    DAILY: Final = "dly"
    """Daily."""
    WEEKLY: Final = "1wk"
    """Every week."""
    EVERY_2_WEEKS: Final = "2wk"
    """Every other week."""
    ON_1ST_AND_16TH: Final = "116"
    """On the 1st and the 16th."""
    EVERY_4_WEEKS: Final = "4wk"
    """Every four weeks."""
    EVERY_8_WEEKS: Final = "8wk"
    """Every eight weeks."""
    EVERY_12_WEEKS: Final = "12w"
    """Every twelve weeks."""
    EVERY_30_DAYS: Final = "30d"
    """Every 30 days."""
    MONTHLY: Final = "mon"
    """Monthly."""
    EVERY_2_MONTHS: Final = "2mn"
    """Every other month."""
    QUARTERLY: Final = "qtr"
    """Quarterly."""
    EVERY_6_MONTHS: Final = "six"
    """Every six months."""
    YEARLY: Final = "yrl"
    """Yearly."""
    EVERY_2_YEARS: Final = "2yr"
    """Every two years."""
    EVERY_3_YEARS: Final = "3yr"
    """Every three years."""
    EVERY_4_YEARS: Final = "4yr"
    """Every four years."""
    EVERY_5_YEARS: Final = "5yr"
    """Every five years."""
    EVERY_10_YEARS: Final = "10y"
    """Every ten years."""


class PayMethod:
    """How something is paid (``paymethod``, ``paymethod_hint``, ``default_paymethod``)."""

    INVOICE: Final = "inv"
    """By invoice; nothing is charged by itself."""
    CREDIT_CARD: Final = "crd"
    """By card."""
    ACH: Final = "ach"
    """From a bank account."""
    TOKENIZED: Final = "tok"
    """By a method that the gateway keeps."""
    ANY: Final = "any"
    """By whatever is on file; for creating and scheduling only."""


class PricingModel:
    """How the amounts of a price are meant (``pricemodel``)."""

    FLAT: Final = "fla"
    """A flat price per cycle."""
    PER_UNIT: Final = "uni"
    """A price per unit."""
    VOLUME: Final = "vol"
    """The total volume decides the price of every unit."""
    TIERED: Final = "tie"
    """Each band of units has its own price."""
    PASS_THROUGH: Final = "pas"  # noqa: S105 - no password
    """From usage that carries its price."""


class QuoteState:
    """``quote_status_state``."""

    OPEN: Final = "o"
    """Neither accepted nor lost."""
    CLOSED: Final = "c"
    """Accepted or lost."""


class QuoteStatus:
    """``quote_status_str``."""

    NEW: Final = "open-new"
    """New."""
    SENT: Final = "open-sent"
    """Sent."""
    WON: Final = "closed-won"
    """Accepted."""
    LOST: Final = "closed-lost"
    """Rejected or lost."""


class ServiceDatesType:
    """When the service of an item starts or ends (``service_dates_type``)."""

    NONE: Final = "none"
    """It has no dates."""
    STARTS_ON_INVOICE_DATE: Final = "starts_on_invoice_date"
    """Starts on the invoice's date."""
    STARTS_ON_FIRST_OF_THIS_MONTH: Final = "starts_on_first_of_this_month"
    """Starts on the first of this month."""
    STARTS_ON_FIRST_OF_NEXT_MONTH: Final = "starts_on_first_of_next_month"
    """Starts on the first of next month."""
    ENDS_BEFORE_INVOICE_DATE: Final = "ends_before_invoice_date"
    """Ends before the invoice's date."""


class ServiceDatesVisibility:
    """Who sees the dates of a service (``service_dates_visibility``)."""

    MERCHANT: Final = "visible_to_merchant"
    """The merchant only."""
    MERCHANT_AND_CUSTOMERS: Final = "visible_to_merchant_and_customers"
    """The merchant and the customers."""


class SubscribeProrateCycle:
    """When an upgrade's proration is invoiced (``subscribe_prorate_cycle``)."""

    NOW: Final = "now"
    """At once."""
    NEXT: Final = "next"
    """With the next invoice."""


class SubscriptionState:
    """``package_status_state``."""

    ACTIVE: Final = "a"
    """Active."""
    CANCELED: Final = "c"
    """Cancelled."""
    EXPIRED: Final = "e"
    """Expired."""
    SUSPENDED: Final = "s"
    """Suspended."""


class SubscriptionStatus:
    """``package_status_str``."""

    ACTIVE_TRIAL: Final = "active-trial"
    """In its free trial."""
    ACTIVE_CURRENT: Final = "active-current"
    """Active, nothing overdue."""
    ACTIVE_OVERDUE: Final = "active-overdue"
    """Active, with an overdue amount."""
    CANCELED_NONPAYMENT: Final = "canceled-nonpayment"
    """Cancelled for not being paid."""
    CANCELED_MANUAL: Final = "canceled-manual"
    """Cancelled by hand or by a call."""
    EXPIRED: Final = "expired-expired"
    """It ran its course."""
    EXPIRED_TRIAL: Final = "expired-trial"
    """Its trial ran out."""
    SUSPENDED: Final = "suspended-suspended"
    """Suspended."""


class TransactionState:
    """``transaction_status_state``; other letters exist and are shown by no source."""

    OK: Final = "o"
    """It went well."""


class TransactionStatus:
    """``transaction_status_str``; pending and failed ones exist, their strings are not shown."""

    SUCCESSFUL: Final = "ok-successful"
    """It went well."""


class TransactionType:
    """``transaction_type``."""

    PAYMENT: Final = "pay"
    """A payment."""
    REFUND: Final = "ref"
    """A refund."""
    CREDIT: Final = "cre"
    """A credit."""
    SPLIT: Final = "spl"
    """A split."""


class UsageType:
    """How usage counts towards what was reported before (``type``)."""

    ADD: Final = "add"
    """The default: it is added."""
    MAX: Final = "max"
    """The source gives no meaning."""
    LAT: Final = "lat"
    """The source gives no meaning."""
    PIA: Final = "pia"
    """The source gives no meaning."""
    PAS: Final = "pas"
    """The source gives no meaning."""
    DLT: Final = "dlt"
    """The source gives no meaning."""


__all__ = (
    "NEXT_SCHEDULED_INVOICE",
    "AchType",
    "AutoApply",
    "CardType",
    "CouponType",
    "CustomFieldType",
    "CustomerState",
    "CustomerStatus",
    "Delivery",
    "GatewayMethod",
    "GatewayStatus",
    "InvoiceState",
    "InvoiceStatus",
    "ItemType",
    "LoginDestination",
    "NoteContext",
    "PayCycle",
    "PayMethod",
    "PricingModel",
    "QuoteState",
    "QuoteStatus",
    "ServiceDatesType",
    "ServiceDatesVisibility",
    "SubscribeProrateCycle",
    "SubscriptionState",
    "SubscriptionStatus",
    "TransactionState",
    "TransactionStatus",
    "TransactionType",
    "UsageType",
)
