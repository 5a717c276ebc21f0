"""An account that is kept, in memory or in a file; its snapshots and seeds, a test's questions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from typing import Any

from .file import StoreFile
from .keeper import Keeper
from .log import Done
from .row import Image, Row, read, write
from .table import Changes
from .tables import Spec, Tables
from .tokens import Tokens

_NO_FILE = nullcontext()


class Store(Tables):
    """All records of one sandbox, and the means to make new ones.

    ``now`` gives the account's time as an aware datetime; its zone is the account's zone. ``seed``
    makes tokens and user names come out the same each time.

    With a ``file`` everything lives there as well: what a request changed is in it before the
    request is answered, and a store made over the same file has it all again. That goes for
    whatever is in the rows of the tables (as far as JSON can hold it), the counters of `number`
    and ``actions``; a rule that keeps anything elsewhere loses it. Changes outside of a request
    belong in a `transaction`. `new_store` opens the file.
    """

    def __init__(
        self,
        specs: Mapping[str, Spec],
        *,
        seed: int = 0,
        now: Callable[[], dt.datetime] | None = None,
        site: str = "https://example.chargeover.com",
        file: StoreFile | None = None,
    ) -> None:
        changes = None if file is None else Changes()
        super().__init__(specs, seed=seed, now=now or _utc_now, site=site, changes=changes)
        self.snapshots: dict[str, Image] = {}
        self._keeper = None
        if file is None or changes is None:
            self.preset(specs)
        else:
            self._keeper = Keeper(self, file, changes)
            self.open()

    def open(self) -> None:
        """Hold the file and load it, again after `close`; nothing without a file, or while open.

        Raises StorageError if the file cannot be read or belongs to something or somebody else.
        """
        if self._keeper is not None:
            self._keeper.open()

    def close(self) -> None:
        """Let go of the file; what is in memory can still be read."""
        if self._keeper is not None:
            self._keeper.close()

    def transaction(self) -> AbstractContextManager[None]:
        """A block that may change something: all of it is in the file when it ends, or none.

        Blocks inside of it go into the file together with it. Raises StorageError at the end, or
        at the start if the file could not be written before.
        """
        return _NO_FILE if self._keeper is None else self._keeper

    def freshen(self) -> None:
        """See to it that what can be read is what is in the file; raises StorageError."""
        if self._keeper is not None:
            self._keeper.freshen()

    def clear(self) -> None:
        """Forget every record and start all numbers and the random source anew."""
        with self.transaction():
            self._empty()
            self.preset(self.specs)

    def reseed(self, seed: int) -> None:
        """Start the random source of tokens anew."""
        with self.transaction():
            self._tokens = Tokens(seed)
            self._counters["token"] = 0

    def seed(
        self, name: str, record: Mapping[str, Any], *, extra: Mapping[str, Any] | None = None
    ) -> int:
        """Store ``record`` as given, with its id and token, and return the id.

        Money may be int, str, float or Decimal. A record with the same id is replaced. Derived
        fields (totals, statuses, blocks, names of terms) keep the given values until the record
        is changed. A customer brings its main contact along, an item its pricing, an invoice its
        lines. What a transaction is applied to counts as paid, unless the invoice's own seed gives
        its ``payments`` (or ``credits``). Fields that are left out are made up as for a new
        record. Raises ValueError for a field that the object does not have; ``extra`` are such
        fields, to be kept and shown, as a newer version of the API may send them.
        """
        with self.transaction():
            return self.plant(name, record, extra).id

    # Snapshots.

    def snapshot(self) -> Image:
        """All that the store has at this moment, to be given to `restore`."""
        self.freshen()
        return Image(
            self.numbers(),
            [
                (name, key, id_)
                for name, table in self.tables.items()
                for key in table.keys
                if (id_ := table.abandoned(key)) is not None
            ],
            [write(row) for table in self.tables.values() for row in table.scan()],
            [(n, done.object, done.id, done.action) for n, done in self.actions.numbered()],
        )

    def restore(self, image: Image) -> None:
        """Be what the store was when `snapshot` gave ``image``; the seed of tokens stays.

        Raises ValueError, and changes nothing, for an image that no store of this version gave.
        """
        tables, actions, counters = self.tables, self.actions, self._counters
        try:
            with self.transaction():
                self._empty()
                self._take(image)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            if self._keeper is None:
                self.tables, self.actions, self._counters = tables, actions, counters
            raise ValueError(f"not a snapshot of this version: {error!r}") from None

    def _empty(self) -> None:
        if self._changes is not None:
            self._changes.clear()
            self._changes.emptied = True
        self.start()

    def _take(self, image: Image) -> None:
        for record in image.records:
            row = read(*record)
            self.table(row.name).add(row)
        for name, key, id_ in image.keys:
            self.table(name).abandon(key, id_)
        for _, name, id_, action in image.actions:
            self.actions.append(Done(name, id_, action))
        self.set_numbers(image.numbers)

    # What a test reads.

    def records(self, name: str) -> list[dict[str, Any]]:
        """All records of an object by rising id, as a single GET would show them."""
        self.freshen()
        return [self._show(row) for row in self.table(name).scan()]

    def find(self, name: str, id_: int) -> dict[str, Any] | None:
        """The record with that id, or None."""
        self.freshen()
        row = self.table(name).rows.get(id_)
        return None if row is None else self._show(row)

    def by_key(self, name: str, external_key: str) -> dict[str, Any] | None:
        """The record with that external key, or None."""
        self.freshen()
        row = self.table(name).by_key(external_key)
        return None if row is None else self._show(row)

    def by_token(self, name: str, token: str) -> dict[str, Any] | None:
        """The record with that token, or None."""
        self.freshen()
        row = self.table(name).by_token(token)
        return None if row is None else self._show(row)

    def _show(self, row: Row) -> dict[str, Any]:
        return deepcopy(self.render(self.specs[row.name], row))


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
