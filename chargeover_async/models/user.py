"""Users (contacts): the record, and what may be written.

Source: vendor's REST page "Users / Contacts"; recordings `one_contact`, `create_contact`.
"""

from __future__ import annotations

import datetime as dt

from ._json.base import Record
from ._json.checks import Id, Secret, Text
from ._json.fields import CustomFields, CustomFieldsIn


class UserCustomer(Record, frozen=True, kw_only=True):
    """A customer that a contact is attached to.

    ``customer_id`` is a string in every recording; it is read as a number here, as everywhere else.
    """

    customer_id: int | None = None
    company: str | None = None


class User(CustomFields, frozen=True, kw_only=True):
    """A contact of a customer.

    ``write_datetime`` of a list is unreliable: in one recording all 49 entries carry the same
    value. ``email`` may hold several addresses, separated by comma and space.
    """

    user_id: int
    external_key: str | None = None
    first_name: str | None = None
    middle_name_glob: str | None = None
    last_name: str | None = None
    name_suffix: str | None = None
    title: str | None = None
    email: str | None = None
    token: str | None = None
    phone: str | None = None
    write_datetime: dt.datetime | None = None
    mod_datetime: dt.datetime | None = None
    name: str | None = None
    display_as: str | None = None
    username: str | None = None
    customers: list[UserCustomer] | None = None
    mobile: str | None = None
    user_type_id: int | None = None
    user_type_name: str | None = None
    customer_id: int | None = None
    url_self: str | None = None


class UserUpdate(CustomFieldsIn, total=False):
    """What may be sent when a contact is changed; ``name`` is split into its parts by the API."""

    external_key: Text
    username: Text
    password: Secret
    name: Text
    first_name: Text
    middle_name_glob: Text
    last_name: Text
    name_suffix: Text
    title: Text
    email: Text
    phone: Text
    mobile: Text
    user_type_id: Id


class UserCreate(UserUpdate, total=False):
    """What may be sent when a contact is created."""

    customer_id: Id
    customer_external_key: Text
    customer_token: Text


__all__ = ("User", "UserCreate", "UserCustomer", "UserUpdate")
