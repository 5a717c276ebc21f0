"""Every object of the API under the name it has on a client and on a bulk scope.

A new object is added here, once; the client, bulk scopes and import jobs know it then.
"""

from __future__ import annotations

from typing import Any

from chargeover_async.operation import Runner

from ._base import Options, Resource
from .customers import Customers
from .invoices import Invoices
from .items import Items
from .users import Users


class Resources:
    """The resources, for whoever runs their operations."""

    customers: Customers
    invoices: Invoices
    items: Items
    users: Users

    def _set_resources(self, runner: Runner, options: Options) -> None:
        for resource in RESOURCES.values():
            setattr(self, resource.attribute, resource(runner, options))


RESOURCES: dict[str, type[Resource[Any]]] = {
    resource.object: resource for resource in (Customers, Invoices, Items, Users)
}
