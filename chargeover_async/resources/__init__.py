"""The objects of the API as the client offers them, one module an object."""

from __future__ import annotations

from ._all import RESOURCES, Resources
from ._base import ExternalKey, Resource, Token
from .customers import Customers
from .invoices import Invoices
from .items import Items
from .users import Users

__all__ = (
    "RESOURCES",
    "Customers",
    "ExternalKey",
    "Invoices",
    "Items",
    "Resource",
    "Resources",
    "Token",
    "Users",
)
