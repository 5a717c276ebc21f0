"""The lines of invoices: what they are of, what they cost, and how an update names them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from chargeover_async.models import LineItem
from chargeover_async.sandbox.objects.account.item import base_price
from chargeover_async.sandbox.objects.account.pricing import EXACT
from chargeover_async.sandbox.protocol.answers import INVALID, Refused, amount, missing
from chargeover_async.sandbox.protocol.values import (
    FLAG,
    MIXED,
    integer,
    is_array,
    is_object,
    kinds_of,
    mixed,
    number,
    text,
)
from chargeover_async.sandbox.store.row import Row
from chargeover_async.sandbox.store.tables import Tables

CENT = Decimal("0.01")
KINDS = kinds_of(LineItem)
BLANK_LINE: dict[str, Any] = {
    **{name: False if kind == FLAG else None for name, kind in KINDS.items()},
    "line_quantity": 1,
    "line_usage": 0,
    "is_taxed": "0",  # the string in every recording
}
CUSTOM = tuple(name for name, kind in KINDS.items() if kind == MIXED)
_ZERO = Decimal(0)
_MAX_TOTAL_DIGITS = 15  # leaves room to add up lines in the default 28 digits


def line_total(line: dict[str, Any]) -> Decimal:
    """What one line comes to, to the cent.

    UNVERIFIED: rounding is half up, line by line; no recording has a fraction of a cent.
    """
    exact = EXACT.multiply(Decimal(line["line_rate"]), Decimal(line["line_quantity"]))
    if exact.adjusted() >= _MAX_TOTAL_DIGITS:
        raise Refused(INVALID)
    return exact.quantize(CENT, ROUND_HALF_UP, EXACT)


def settle_amounts(line: dict[str, Any]) -> dict[str, Any]:
    """The line with what follows from its rate and quantity.

    Recording `invoice_recurring_package_not_present` of the vendor's Ruby client, of a line without
    a tax: all of it is taxable, and the tax is 0. No tax is ever added here.
    """
    return line | {"tax_taxable": amount(line_total(line)), "tax_taxed": 0, "tax_total": 0}


def costs_of(lines: Iterable[dict[str, Any]]) -> list[tuple[int | None, Decimal]]:
    """Number and total of each line: whether an update changed what they come to."""
    return [(line["line_item_id"], line_total(line)) for line in lines]


def total_of(lines: list[dict[str, Any]]) -> Decimal:
    """The sum of the lines; taxes are not modelled."""
    return sum((line_total(line) for line in lines), _ZERO)


def take_lines(
    store: Tables, invoice_id: int, sent: Any, present: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The complete new list of lines.

    A line with a ``line_item_id`` is the present line, changed by what else it says; any other
    line is new; a present line that is left out is dropped (vendor's PHP sample of an update).
    """
    if not is_array(sent) or not sent:
        raise missing("line_items") if not sent else Refused(INVALID)
    known = {line["line_item_id"]: line for line in present}
    taken = [_take_line(store, entry, known) for entry in sent]
    for line in taken:  # numbered only when all of them are right
        if line["line_item_id"] is None:
            line["line_item_id"] = store.number("line_item_id")
        line["invoice_id"] = invoice_id
    return taken


def _take_line(store: Tables, sent: Any, known: dict[int, dict[str, Any]]) -> dict[str, Any]:
    if not is_object(sent):
        raise Refused(INVALID)
    fields = sent
    line_item_id = fields.get("line_item_id")
    present = None
    if line_item_id is None:
        line = _new_line(store, _item(store, fields))
    else:
        line_item_id = integer(line_item_id)
        present = known.pop(line_item_id, None)
        if present is None:
            # UNVERIFIED wording; also for a line that is named twice.
            raise Refused(f"This invoice has no such line: line_item_id {line_item_id}")
        line = dict(present)
    if fields.get("line_rate") is not None:
        line["line_rate"] = amount(number(fields["line_rate"]))
    if fields.get("line_quantity") is not None:
        line["line_quantity"] = amount(number(fields["line_quantity"]))
    if "descrip" in fields:
        line["descrip"] = None if fields["descrip"] is None else text(fields["descrip"])
    for name, value in fields.items():
        if KINDS.get(name) == MIXED:
            line[name] = mixed(value)
    is_same = present is not None and costs_of([present]) == costs_of([line])
    return line if is_same and "tax_total" in line else settle_amounts(line)


def _item(store: Tables, fields: dict[str, Any]) -> Row:
    """The item of a new line, named by id, external key or token."""
    table = store.table("item")
    row: Row | None
    if fields.get("item_id") is not None:
        row = table.rows.get(integer(fields["item_id"]))
        name, value = "item_id", fields["item_id"]
    elif fields.get("item_external_key") is not None:
        row = table.by_key(text(fields["item_external_key"]))
        name, value = "item_external_key", fields["item_external_key"]
    elif fields.get("item_token") is not None:
        row = table.by_token(text(fields["item_token"]))
        name, value = "item_token", fields["item_token"]
    else:
        raise missing("item_id")
    if row is None:
        raise Refused(f'There is no item with the {name} value "{value}"')  # UNVERIFIED
    return row


def _new_line(store: Tables, item: Row) -> dict[str, Any]:
    # Items cannot be changed, so their names may be copied into the line.
    line = dict(BLANK_LINE)
    line.update(
        item_id=item.id,
        tierset_id=item.data.get("tierset_id"),
        descrip=item.data.get("description") or None,  # UNVERIFIED: its template is not filled in
        line_rate=base_price(item),
        item_name=store.value(store.specs["item"], item, "name"),
        item_external_key=item.data.get("external_key"),
        item_token=item.data["token"],
        item_accounting_sku=item.data.get("accounting_sku"),
    )
    return line


def values_of(name: str) -> Any:
    def values(_store: Tables, row: Row) -> list[Any]:
        return [line.get(name) for line in row.data.get("line_items") or ()]

    return values
