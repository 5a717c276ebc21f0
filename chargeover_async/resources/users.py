"""Users (contacts). Source: vendor's text, "Users / Contacts"; recordings `create_contact` etc."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, ClassVar, Literal, TypedDict, Unpack

from chargeover_async.errors import UsageError
from chargeover_async.models import Created, User, UserCreate, UserUpdate
from chargeover_async.models._json.checks import Secret, Text
from chargeover_async.operation import Operation
from chargeover_async.retry import Repeat

from ._calls.answers import read_text
from ._calls.kinds import Resource
from ._calls.options import ActionForm
from ._calls.target import Target
from ._calls.upserting import Upserted, upsert

PasswordAction = Literal["password", "reset_password"]


def _password_action(action: PasswordAction) -> str:
    if action not in {"password", "reset_password"}:
        raise UsageError(f'action must be "password" or "reset_password", not {action!r}')
    return action


class _Password(TypedDict, total=False):
    password: Secret


class _Login(TypedDict, total=False):
    destination: Text


class Users(Resource[User]):
    """``/user``."""

    object = "user"
    attribute = "users"
    model = User
    writes: ClassVar = {
        "create": UserCreate,
        "update": UserUpdate,
        "set_password": _Password,
        "login": _Login,
    }
    needs: ClassVar = ()
    __slots__ = ()

    def create(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[UserCreate]
    ) -> Operation[Created]:
        """Create a contact. Source: recording `create_contact`."""
        return self._create(fields, extra)

    def update(
        self,
        target: Target,
        *,
        extra: Mapping[str, Any] | None = None,
        **fields: Unpack[UserUpdate],
    ) -> Operation[Created]:
        """Change the fields given; ``name`` is split into first and last name by the API."""
        return self._update(target, fields, extra)

    def upsert(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[UserCreate]
    ) -> Coroutine[Any, Any, Upserted]:
        """The contact with this key as the fields say: created, or changed to them.

        Costs one call for a new one; else it is looked at, and changed in the fields that differ,
        as far as an update takes them. Await it; in a bulk scope its calls travel with the others.
        Raises UsageError without a key, and what `create`, `get` and `update` raise.
        """
        return upsert(self, fields, extra)

    def get_or_create(
        self, *, extra: Mapping[str, Any] | None = None, **fields: Unpack[UserCreate]
    ) -> Coroutine[Any, Any, Upserted]:
        """The contact with this ``external_key``, created with the fields if there is none.

        One that is there is neither changed nor compared. Otherwise as `upsert`.
        """
        return upsert(self, fields, extra, change=False)

    def delete(self, target: Target) -> Operation[bool]:
        """Delete a contact."""
        return self._delete(target)

    def send_password_reset(
        self,
        target: Target,
        *,
        action: PasswordAction = "password",
        form: ActionForm = "query",
    ) -> Operation[bool]:
        """Mail the contact a link to reset the password.

        Source: vendor's text, "Send a password reset"; its PHP client calls the action
        ``reset_password``.
        """
        return self._action(
            target,
            _password_action(action),
            Repeat.ONCE,
            verb="send_password_reset",
            form=form,
        )

    def set_password(
        self,
        target: Target,
        password: str,
        *,
        action: PasswordAction = "password",
        form: ActionForm = "query",
    ) -> Operation[bool]:
        """Set the password, and mail it unless the flag ``emails=0`` is set (`with_options`).

        Source: vendor's text, "Send a password reset"; ``action`` as there.
        """
        if not password:
            # Without one the same action mails a link instead.
            raise UsageError("users.set_password needs a password")
        return self._action(
            target,
            _password_action(action),
            Repeat.ONCE,
            verb="set_password",
            fields={"password": password},
            form=form,
        )

    def login(
        self, target: Target, *, destination: str | None = None, form: ActionForm = "query"
    ) -> Operation[str]:
        """A URL that logs the contact into the portal once, for a very short time.

        ``destination`` is one of `LoginDestination`. Sent as ``?action=login`` (vendor's text, "Log
        in a user"), in the path as ``getLoginURL`` (the newer page).
        """
        fields = {} if destination is None else {"destination": destination}
        return self._action(
            target,
            "login",
            Repeat.READ,
            verb="login",
            fields=fields,
            reader=read_text,
            form=form,
            in_path="getLoginURL",
        )


__all__ = ("Users",)
