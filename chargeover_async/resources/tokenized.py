"""Tokenized pay methods, which a gateway keeps.

Source: pages "Store a pay method token", "Querying for pay method tokens"; recording
`create_tokenized_card`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from chargeover_async.models import Created, TokenizedPayMethod, TokenizedPayMethodCreate
from chargeover_async.operation import Operation

from ._calls.kinds import Listable, Readable
from ._calls.target import Target


class Tokenized(Readable[TokenizedPayMethod], Listable[TokenizedPayMethod]):
    """``/tokenized``; no source shows a count, revisions, an update or an external key.

    UNVERIFIED: ``get(token=...)``, because ``token`` is the gateway's own here.
    """

    object = "tokenized"
    attribute = "tokenized"
    model = TokenizedPayMethod
    writes: ClassVar = {"create": TokenizedPayMethodCreate}
    __slots__ = ()

    def create(
        self,
        *,
        extra: Mapping[str, Any] | None = None,
        **fields: Unpack[TokenizedPayMethodCreate],
    ) -> Operation[Created]:
        """Store a gateway's token for a customer. Source: recording `create_tokenized_card`.

        Without an external key of its own it is never sent twice by itself.
        """
        return self._create(fields, extra)

    def delete(self, target: Target) -> Operation[bool]:
        """Delete a stored token.

        Source: clients of the vendor. UNVERIFIED: the answer, taken to be that of a card.
        """
        return self._delete(target)


__all__ = ("Tokenized",)
