"""The lines of subscriptions: each a row of its own, so that usage can name it by its key."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, NamedTuple

from chargeover_async.models import SubscriptionLine
from chargeover_async.sandbox.objects.account.item import tierset_of
from chargeover_async.sandbox.objects.account.pricing import new_tierset, take, take_seeded
from chargeover_async.sandbox.protocol.answers import INVALID, Refused, missing
from chargeover_async.sandbox.protocol.values import flag, is_array, is_object
from chargeover_async.sandbox.records import crud
from chargeover_async.sandbox.records.refs import find_named
from chargeover_async.sandbox.store.row import Record, Row
from chargeover_async.sandbox.store.tables import Spec, Tables, check_names

_EMPTY = {"nickname": "", "trial_days": 0, "trial_units": 0, "license": ""}  # recordings
_OF_ITEM = ("item_name", "item_external_key", "item_token", "item_accounting_sku", "item_units")

PACKAGE_LINE = Spec(
    name="line_item",
    key="line_item_id",
    model=SubscriptionLine,
    internal=True,
    first_id=554,  # recording one_invoice: the line of the first subscription
    defaults=_EMPTY,
    private=frozenset(("package_id", "position")),
    read_only=frozenset(
        (
            *("tierset_id", "nickname", "trial_units", "license", "subscribe_datetime"),
            *("cancel_datetime", "expire_datetime", "expire_recurs"),
            *_OF_ITEM,
        )
    ),
    references={"item": "item"},
    indexes=("package_id",),
)


class NewLine(NamedTuple):
    """A line that has been checked and is not stored yet."""

    data: dict[str, Any]
    item: Row
    price: dict[str, Any] | None
    replaced: Row | None


def lines_of(store: Tables, package_id: int) -> list[Row]:
    """The lines of a subscription, in their order."""
    rows = store.having("line_item", "package_id", package_id)
    return sorted(rows, key=lambda row: row.data["position"])


def show_lines(store: Tables, package: Row) -> list[dict[str, Any]]:
    """The lines as a subscription shows them."""
    return [store.render(PACKAGE_LINE, line) for line in lines_of(store, package.id)]


def quantity_of(line: Row) -> Decimal | None:
    """How many of the item a line is for, if it says."""
    quantity = line.data.get("line_quantity")
    return None if quantity is None else Decimal(quantity)


def is_trial(line: Row, now: str) -> bool:
    """Whether the free days of a line are not over."""
    days = line.data.get("trial_days") or 0
    if days <= 0:
        return False
    start = dt.datetime.fromisoformat(line.data["subscribe_datetime"])
    try:
        return now < (start + dt.timedelta(days=days)).isoformat(" ", "seconds")
    except OverflowError:
        return True


def check_lines(store: Tables, sent: list[dict[str, Any]]) -> list[NewLine]:
    """The lines of a new subscription."""
    taken = [_check(store, entry, None) for entry in sent]
    _check_keys(store, taken)
    return taken


def check_upgrade(
    store: Tables, package: Row, sent: Any
) -> tuple[list[NewLine], list[NewLine], list[Row]]:
    """What an upgrade replaces, adds and drops; nothing is changed yet."""
    present = {line.id: line for line in lines_of(store, package.id)}
    replacing: list[NewLine] = []
    adding: list[NewLine] = []
    dropped: list[Row] = []
    for entry in entries(sent):
        line = _find_line(store, entry, present)
        if line is None:
            adding.append(_check(store, entry, None))
            continue
        del present[line.id]
        if entry.get("cancel") is not None and flag(entry["cancel"]):
            dropped.append(line)
        else:
            replacing.append(_check(store, entry, line))
    _check_keys(store, [*replacing, *adding], dropped)
    return replacing, adding, dropped


def entries(sent: Any) -> list[dict[str, Any]]:
    """The lines of a request, each an object."""
    if not is_array(sent) or not all(is_object(entry) for entry in sent):
        raise Refused(INVALID)
    return sent


def _find_line(store: Tables, entry: dict[str, Any], present: dict[int, Row]) -> Row | None:
    """The line that an entry of an upgrade changes: by id, key (`apex`) or token."""
    names = ("line_item_id", "line_item_external_key", "line_item_token")
    name = next((name for name in names if entry.get(name) is not None), None)
    if name is None:
        return None
    found = find_named(store, entry, "line_item", "line_item")
    if found is None or found.id not in present:
        # UNVERIFIED wording; also for a line that is named twice.
        raise Refused(f"This package has no such line: {name} {entry[name]}")
    return found


def _check(store: Tables, sent: dict[str, Any], replaced: Row | None) -> NewLine:
    fields = crud.resolve(store, PACKAGE_LINE, sent)
    changes = crud.accept(store, PACKAGE_LINE, fields)
    data: dict[str, Any] = dict(_EMPTY)
    item: Row | None = None
    if replaced is not None:
        # What is not sent stays, also the text when the item becomes another one: recordings
        # update_package_line_item (call 4) and add_line_item (call 0), line 605 and its successor.
        data = {name: replaced.data.get(name) for name in _CARRIED}
        item = store.row("item", replaced.data.get("item_id"))
    if changes.get("item_id") is not None:
        item = store.row("item", changes["item_id"])
    if item is None:
        raise missing("item_id")
    if replaced is None and "descrip" not in changes:
        data["descrip"] = item.data.get("description") or None  # recordings: "" becomes null
    data |= changes
    data["item_id"] = item.id
    data |= {name: _of_item(item, name.removeprefix("item_")) for name in _OF_ITEM}
    price = take(sent["tierset"]) if sent.get("tierset") is not None else None
    return NewLine(data, item, price, replaced)


_CARRIED = (
    *("external_key", "nickname", "descrip", "line_quantity", "trial_days", "trial_units"),
    *("license", "paycycle", "expire_datetime", "expire_recurs"),
    *(f"custom_{number}" for number in range(1, 21)),
)


def _of_item(item: Row, name: str) -> Any:
    return item.data.get(name) if name != "name" else item.data.get("name") or ""


def _check_keys(store: Tables, lines: list[NewLine], dropped: list[Row] | None = None) -> None:
    """Two lines cannot have one key (UNVERIFIED: as for any object); replaced ones give it up."""
    table = store.table("line_item")
    leaving = {line.replaced.id for line in lines if line.replaced is not None}
    leaving |= {line.id for line in dropped or ()}
    seen: set[str] = set()
    for line in lines:
        key = line.data.get("external_key")
        if not key:
            continue
        if key in seen or table.keys.get(key) not in (None, *leaving):
            raise Refused(f'A line_item already exists with the external_key value "{key}"')
        seen.add(key)


def put(store: Tables, package: Record, line: NewLine, currency_id: int) -> Row:
    """Tables a checked line; one that replaces another takes its place under a new id.

    Recordings `upgrade_a_package`, `add_line_item`: a price that was sent is a new tierset, else
    the item's own is used.
    """
    if line.replaced is not None:
        position = line.replaced.data["position"]
    else:
        position = max((row.data["position"] for row in lines_of(store, package.id)), default=0) + 1
    draft = store.draft("line_item", line.data)
    stamp = draft.data["write_datetime"]
    if line.price is not None:
        tierset = new_tierset(store, line.price, stamp, currency_id)
    else:
        tierset = tierset_of(line.item, currency_id) or new_tierset(store, take(None), stamp)
    draft.data |= {
        "package_id": package.id,
        "position": position,
        "subscribe_datetime": stamp,
        "tierset": tierset,
        "tierset_id": tierset["tierset_id"],
    }
    if line.replaced is not None:
        drop(store, line.replaced)
    return store.insert(draft)


def drop(store: Tables, line: Row) -> None:
    """Take a line away; its key becomes free (UNVERIFIED), as its successor may carry it."""
    store.remove(line, free_key=True)


def seed_lines(store: Tables, package: Record, lines: list[dict[str, Any]]) -> None:
    """Tables the lines that a seeded subscription brings along, in place of those it had."""
    for sent in lines:
        check_names("line_items of a package", sent, PACKAGE_LINE.kinds)
    for present in lines_of(store, package.id):
        drop(store, present)
    for position, sent in enumerate(lines, start=1):
        line = {"subscribe_datetime": package.data["write_datetime"], **sent}
        item = store.row("item", line.get("item_id"))
        if item is not None:
            line = {name: _of_item(item, name.removeprefix("item_")) for name in _OF_ITEM} | line
        price: dict[str, Any] | None = line.get("tierset")
        if price is None and item is not None:
            price = tierset_of(item)
        tierset = take_seeded(store, price or {})
        if tierset.get("tierset_id") is None:
            tierset["tierset_id"] = line.get("tierset_id") or store.number("tierset_id")
        line |= {"tierset": tierset, "tierset_id": tierset["tierset_id"]}
        row = store.plant("line_item", line)
        store.change(row, package_id=package.id, position=position)
