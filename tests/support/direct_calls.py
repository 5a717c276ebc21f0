"""One call of each class of repeating, and every way in which an answer may be lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.scripted import (
    created,
    cut,
    envelope,
    gateway,
    lost,
)

from chargeover_async import (
    ChargeOver,
)
from chargeover_async.operation import Operation

Build = Callable[[ChargeOver], Operation[Any]]

RECORD = {"customer_id": 7, "company": "Acme", "external_key": "k-1"}
CALLS: dict[str, tuple[Build, Any, Any]] = {
    # class of the operation: the call, a good answer, its value
    "read": (lambda co: co.customers.count(), envelope(200, 3), 3),
    "idempotent": (lambda co: co.customers.delete(7), envelope(200, True), True),
    "keyed": (
        lambda co: co.customers.create(company="Acme", external_key="k-1"),
        created(7),
        7,
    ),
    "once": (lambda co: co.customers.create(company="Acme"), created(7), 7),
}
LOST = {
    "reset": lost(),
    "502": gateway(502),
    "503": gateway(503),
    "504": gateway(504),
    "500 of a proxy": gateway(500),
    "cut JSON": cut(),
    "empty 200": envelope(200).__class__(200, {}, b""),
    "Error under a good code": envelope(200, False, status="Error"),
}


def value_of(result: Any) -> Any:
    return getattr(result, "id", result)


__all__ = ("CALLS", "LOST", "RECORD", "Build", "value_of")
