"""The objects of the API as the client offers them, one module an object."""

from __future__ import annotations

from typing import Any

from ._base import ExternalKey, Resource, Token
from .customers import Customers
from .invoices import Invoices
from .items import Items
from .users import Users

RESOURCES: dict[str, type[Resource[Any]]] = {
    resource.object: resource for resource in (Customers, Invoices, Items, Users)
}

__all__ = (
    "RESOURCES",
    "Customers",
    "ExternalKey",
    "Invoices",
    "Items",
    "Resource",
    "Token",
    "Users",
)
