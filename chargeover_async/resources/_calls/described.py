"""The fields of an object: type, meaning, the vendor's codes, and what may be written.

One table for people and programs, made of what is said once elsewhere: the structs and TypedDicts
of the models, `needs` of the resource, `vocabulary`, and ``meanings.json``, which holds the
vendor's words for each field.
"""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# Annotations are of any type.
from __future__ import annotations

import ast
import datetime as dt
import inspect
from collections.abc import Hashable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints, is_typeddict

import msgspec

from chargeover_async import vocabulary
from chargeover_async.models._json.mend import field_types, is_struct
from chargeover_async.models._json.shape import shape_of, struct_in

from .base import BaseResource

_READ = {
    str: "text",
    int: "whole number",
    bool: "yes or no",
    Decimal: "amount",
    dt.date: "date",
    dt.datetime: "date with time",
}
_WRITTEN = {
    "id": "whole number",
    "integer": "whole number",
    "flag": "yes or no",
    "money": "amount",
    "day": "date",
    "moment": "date with time",
    "mixed": "any",
    "secret": "text",
    "key": "text",
}
# Where a code stands: a field of any object, or of the one that is named.
_CODES: Mapping[str, type[Any]] = {
    "ach.type": vocabulary.AchType,
    "auto_apply": vocabulary.AutoApply,
    "coupon.type": vocabulary.CouponType,
    "creditcard.type": vocabulary.CardType,
    "_customfield.type": vocabulary.CustomFieldType,
    "customer_status_state": vocabulary.CustomerState,
    "customer_status_str": vocabulary.CustomerStatus,
    "default_paymethod": vocabulary.PayMethod,
    "dunning_delivery": vocabulary.Delivery,
    "gateway_method": vocabulary.GatewayMethod,
    "gateway_status": vocabulary.GatewayStatus,
    "invoice_delivery": vocabulary.Delivery,
    "invoice_status_state": vocabulary.InvoiceState,
    "invoice_status_str": vocabulary.InvoiceStatus,
    "item_type": vocabulary.ItemType,
    "note.context_str": vocabulary.NoteContext,
    "package_status_state": vocabulary.SubscriptionState,
    "package_status_str": vocabulary.SubscriptionStatus,
    "paycycle": vocabulary.PayCycle,
    "paymethod": vocabulary.PayMethod,
    "paymethod_hint": vocabulary.PayMethod,
    "pricemodel": vocabulary.PricingModel,
    "quote_status_state": vocabulary.QuoteState,
    "quote_status_str": vocabulary.QuoteStatus,
    "service_dates_type": vocabulary.ServiceDatesType,
    "service_dates_visibility": vocabulary.ServiceDatesVisibility,
    "tokenized.type_hint": vocabulary.CardType,
    "transaction_status_state": vocabulary.TransactionState,
    "transaction_status_str": vocabulary.TransactionStatus,
    "transaction_type": vocabulary.TransactionType,
    "usage.type": vocabulary.UsageType,
}


class FieldInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One field of an object; ``line_items.line_rate`` is one of its line items.

    ``read`` is its type in answers and ``create`` and ``update`` what may be written, each ``""``
    where there is no such field. ``needs`` are the fields of which a new record must have one,
    this one among them. ``codes`` are the vendor's words for it with their meaning; no such list
    is closed.
    """

    name: str
    read: str = ""
    create: str = ""
    update: str = ""
    needs: tuple[str, ...] = ()
    meaning: str = ""
    codes: Mapping[str, str] = {}


def describe(resource: type[BaseResource[Any]]) -> tuple[FieldInfo, ...]:
    """Every field of an object, in the order of its record, then what can only be written."""
    read = dict(_read(resource.model))
    verbs = {
        verb: dict(_written(resource.writes[verb], resource.model))
        for verb in ("create", "update")
        if verb in resource.writes
    }
    needs = {name: tuple(group) for group in resource.needs or () for name in group}
    names = dict.fromkeys(name for found in (read, *verbs.values()) for name in found)
    meanings = _meanings()
    return tuple(
        FieldInfo(
            name=name,
            read=read.get(name, ""),
            **{verb: found.get(name, "") for verb, found in verbs.items()},
            needs=needs.get(name, ()),
            meaning=meanings.get(resource.object, {}).get(name, "") or _by_name(name),
            codes=_codes_of(resource.object, name),
        )
        for name in names
    )


def _read(
    model: type[Any], prefix: str = "", seen: tuple[Any, ...] = ()
) -> Iterator[tuple[str, str]]:
    for name, hint in field_types(cast("Hashable", model)).items():
        yield prefix + name, _in_words(hint)
        inner = struct_in(hint)
        if inner is not None and inner not in (model, *seen):
            yield from _read(inner, f"{prefix}{name}.", (*seen, model))


def _written(table: Any, model: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    kinds = shape_of(table, model).kinds
    for name, annotation in get_type_hints(table, include_extras=True).items():
        kind = kinds[name]
        yield prefix + name, _WRITTEN.get(kind, kind)
        inner = _typed_dict_in(annotation)
        if inner is not None:
            yield from _written(inner, None, f"{prefix}{name}.")


def _in_words(hint: Any) -> str:
    parts = [part for part in get_args(hint) or (hint,) if part is not type(None)]
    if get_origin(hint) is list or any(get_origin(part) is list for part in parts):
        return "list"
    if any(is_struct(part) or get_origin(part) is dict for part in parts):
        return "object"
    return _READ.get(parts[0], "any") if len(parts) == 1 else "any"


def _typed_dict_in(annotation: Any) -> Any:
    if is_typeddict(annotation):
        return annotation
    parts = get_args(annotation)
    if get_origin(annotation) is Annotated:
        parts = parts[:1]
    return next((found for part in parts if (found := _typed_dict_in(part))), None)


def _by_name(name: str) -> str:
    """What a name says by itself: a key or a token in the place of an id."""
    last = name.rpartition(".")[2]
    if last.startswith("custom_"):
        return "A custom field of the account"
    for suffix, what in (("_external_key", "key"), ("_token", "token")):
        if last.endswith(suffix):
            return f"The {what} of the {last.removesuffix(suffix)}, instead of its id"
    return ""


@cache
def _meanings() -> Mapping[str, Mapping[str, str]]:
    text = files("chargeover_async.resources").joinpath("meanings.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, dict[str, str]])


def _codes_of(name: str, field: str) -> Mapping[str, str]:
    last = field.rpartition(".")[2]
    owner = _CODES.get(f"{name}.{field}") or _CODES.get(last)
    return {} if owner is None else _codes()[owner.__name__]


@cache
def _codes() -> Mapping[str, Mapping[str, str]]:
    """Class of `vocabulary` -> code -> the text that stands below it in the source."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(vocabulary)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        texts = found[node.name] = {}
        for line, below in zip(node.body, node.body[1:], strict=False):
            if isinstance(line, ast.AnnAssign) and line.value is not None:
                meaning = ast.literal_eval(below.value) if isinstance(below, ast.Expr) else ""
                texts[str(ast.literal_eval(line.value))] = inspect.cleandoc(meaning)
    return found
