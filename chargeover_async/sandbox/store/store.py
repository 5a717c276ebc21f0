"""The records of one sandbox and their indexes; knows nothing of HTTP and little of ChargeOver."""

from __future__ import annotations

import datetime as dt
import string
from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from chargeover_async.sandbox.protocol.answers import Refused, amount
from chargeover_async.sandbox.protocol.caller import Caller
from chargeover_async.sandbox.protocol.values import DATE, MOMENT, NESTED, NUMBER, kinds_of
from chargeover_async.sandbox.protocol.where import Clause

from .file import StoreFile
from .keeper import ActionLog, Done, Keeper
from .row import KEPT_REVISIONS, Changes, Image, Row, Written, read, write

KEPT_ACTIONS = 100_000
TOKEN_LENGTH = 12  # recordings: twelve lower-case letters and digits
_ALPHABET = string.ascii_lowercase + string.digits
# A quarter of a token: all strings of three letters and digits.
_QUARTERS = [a + b + c for a in _ALPHABET for b in _ALPHABET for c in _ALPHABET]
_REFERENCE_FORMS = ("id", "external_key", "token")
_QUERIES_KEPT = 4
_TOKENS_AT_ONCE = 8  # 64 bits of a digest each
_NO_FILE = nullcontext()


Derive = Callable[["Store", Row], Any]
# An action answers what stands in ``response``, or a whole `Answer` where it is not a plain 200.
Action = Callable[["Store", Row, Any], Any]
CollectionAction = Callable[["Store", Any], Any]
Hook = Callable[["Store", Row, dict[str, Any]], None]


class NestedField(NamedTuple):
    """A dotted name that may be filtered by: its kind, and the values a record has for it."""

    kind: str
    values: Callable[[Store, Row], Iterable[Any]]
    indexed_by: str | None = None


def _nothing(_store: Store, _row: Row, _fields: dict[str, Any]) -> None:
    """The hook of an object that has no rule of its own."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What the generic code must know of one object; ``objects/table.py`` has them all."""

    name: str
    key: str
    model: type[msgspec.Struct]
    first_id: int = 1
    internal: bool = False  # the sandbox's own: no object of the API
    preset: tuple[Mapping[str, Any], ...] = ()  # the records of a new account
    commands: frozenset[str] = frozenset(("create", "modify", "delete"))
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    read_only: frozenset[str] = frozenset()  # stored, but not for the caller to set
    create_only: frozenset[str] = frozenset()  # ignored by an update (UNVERIFIED)
    hidden: frozenset[str] = frozenset()  # in the model, but never sent
    private: frozenset[str] = frozenset()  # not in the model, stored and never sent
    single_only: tuple[str, ...] = ()  # left out of lists
    references: Mapping[str, str] = field(default_factory=dict[str, str])  # prefix -> object
    choices: Mapping[str, str] = field(default_factory=dict[str, str])  # field -> object it names
    derived: Mapping[str, Derive] = field(default_factory=dict[str, Derive])
    through: frozenset[str] = frozenset()  # derived, yet taken from the caller by a hook
    timed: frozenset[str] = frozenset()  # derived, and changing within a day
    sticky: frozenset[str] = frozenset()  # derived, and a given value outlives an update
    nested: Mapping[str, NestedField] = field(default_factory=dict[str, NestedField])
    indexes: tuple[str, ...] = ()
    order_aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    on_create: Hook = _nothing  # checks everything before it writes anything; row not yet stored
    on_update: Hook = _nothing  # the same; row.data already holds the changes
    before_update: Hook = _nothing  # row.data is still as it was; may refuse
    after_update: Hook = _nothing  # everything is stored; gets the values from before; cannot fail
    on_delete: Callable[[Store, Row], None] = lambda _store, _row: None
    on_seed: Hook = _nothing
    # The stored record that a create means instead of a new one, which is then updated.
    same: Callable[[Store, dict[str, Any]], Row | None] | None = None
    # The events that are posted to hooks, and what else is sent along: customer or user.
    events: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    actions: Mapping[str, Action] = field(default_factory=dict[str, Action])
    collection_actions: Mapping[str, CollectionAction] = field(
        default_factory=dict[str, CollectionAction]
    )
    quiet: frozenset[str] = frozenset()  # actions that leave mod_datetime as it is
    lists_taken: frozenset[str] = frozenset()  # actions whose body may be an array
    post: CollectionAction | None = None  # what a POST to the collection does in place of a create
    whole: bool = False  # the list takes neither filter nor paging
    reads: bool = True  # records can be listed and read
    reference_fields: frozenset[str] = field(init=False)
    kinds: Mapping[str, str] = field(init=False)
    writable: Mapping[str, str] = field(init=False)
    template: Mapping[str, Any] = field(init=False)
    unshown: tuple[str, ...] = field(init=False)
    numbers: tuple[str, ...] = field(init=False)
    moments: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        kinds = {n: k for n, k in kinds_of(self.model).items() if n not in self.hidden}
        closed = self.read_only | (self.derived.keys() - self.through) | {self.key, "token"}
        closed |= {"write_datetime", "mod_datetime"}
        writable = {n: k for n, k in kinds.items() if k != NESTED and n not in closed}
        template = {name: self.defaults.get(name) for name in kinds}
        set_ = object.__setattr__
        forms = [f"{name}_{form}" for name in self.references for form in _REFERENCE_FORMS]
        set_(self, "reference_fields", frozenset(forms))
        set_(self, "kinds", kinds)
        set_(self, "writable", writable)
        set_(self, "template", template)
        # What every row has, and only those records show whose model knows it.
        always = {"token", "write_datetime", "mod_datetime"}
        set_(self, "unshown", tuple((always - kinds.keys()) | self.private))
        set_(self, "numbers", tuple(n for n, k in kinds.items() if k == NUMBER))
        set_(self, "moments", tuple(n for n, k in kinds.items() if k == MOMENT))

    @property
    def no_such(self) -> Refused:
        """The error for a record that is not there (recordings `missing_customer` and others)."""
        return Refused(f"This {self.name.lstrip('_')} does not exist.", 404, None)


class Table:
    """The records of one object, by id, token, external key and the indexed fields.

    An external key stays taken when its record is deleted (vendor's text, "External Keys": the
    default policy). UNVERIFIED: a key that is replaced by another becomes free.
    """

    def __init__(self, spec: Spec, changes: Changes | None = None) -> None:
        self.spec = spec
        self._changes = changes
        self.rows: dict[int, Row] = {}
        self.ids: list[int] = []
        self.keys: dict[str, int] = {}
        self.tokens: dict[str, int] = {}
        self.next_id = spec.first_id
        self.index: dict[str, dict[int, dict[int, Row]]] = {name: {} for name in spec.indexes}

    def check_key(self, key: str | None, id_: int) -> None:
        """Raise the recorded error if ``key`` belongs to another record than ``id_``."""
        if key and self.keys.get(key, id_) != id_:
            name = self.spec.name
            raise Refused(f'A {name} already exists with the external_key value "{key}"')

    def insert(self, row: Row) -> None:
        """Store a new record; its id and token must be free."""
        if self._changes is not None:
            self._changes.added(self.spec.name, row)
            self._note_key(row.data.get("external_key"))
        self.place(row)

    def place(self, row: Row) -> None:
        """Put a record where it belongs, be it new or loaded."""
        id_, data = row.id, row.data
        self.rows[id_] = row
        if not self.ids or id_ > self.ids[-1]:
            self.ids.append(id_)
        else:
            insort(self.ids, id_)
        self.next_id = max(self.next_id, id_ + 1)
        self.tokens[data["token"]] = id_
        key = data.get("external_key")
        if key:
            self.keys[key] = id_
        for name, index in self.index.items():
            value = data.get(name)
            if value is not None:
                index.setdefault(value, {})[id_] = row

    def replace(self, row: Row, data: dict[str, Any]) -> None:
        """Give a record new values and keep the indexes true."""
        old = row.data
        row.data = data
        before, after = old.get("external_key"), data.get("external_key")
        if before != after:
            self._note_key(after)
            if before:
                self.keys.pop(before, None)
            if after:
                self.keys[after] = row.id
        for name, index in self.index.items():
            self._move(index, row, old.get(name), data.get(name))

    @staticmethod
    def _move(
        index: dict[int, dict[int, Row]], row: Row, before: int | None, after: int | None
    ) -> None:
        if before != after:
            if before is not None:
                index.get(before, {}).pop(row.id, None)
            if after is not None:
                index.setdefault(after, {})[row.id] = row

    def remove(self, row: Row, *, free_key: bool = False) -> None:
        """Take a record away; its external key stays taken unless ``free_key``."""
        del self.rows[row.id]
        self.ids.pop(bisect_left(self.ids, row.id))
        self.tokens.pop(row.data["token"], None)
        if free_key:
            self.keys.pop(row.data.get("external_key") or "", None)
        else:
            self._note_key(row.data.get("external_key"))
        for name, index in self.index.items():
            self._move(index, row, row.data.get(name), None)

    def _note_key(self, key: str | None) -> None:
        if key and key in self.keys and self._changes is not None:
            self._changes.keys.add((self.spec.name, key))

    def abandon(self, key: str, id_: int) -> None:
        """Let a deleted record hold ``key``."""
        self.keys[key] = id_
        self._note_key(key)

    def abandoned(self, key: str) -> int | None:
        """The id of the deleted record that still holds ``key``; None if there is none."""
        id_ = self.keys.get(key)
        row = None if id_ is None else self.rows.get(id_)
        return None if row is not None and row.data.get("external_key") == key else id_

    def by_key(self, key: str) -> Row | None:
        """The record with that external key, letter case included; None if it is deleted."""
        id_ = self.keys.get(key)
        return None if id_ is None else self.rows.get(id_)

    def by_token(self, token: str) -> Row | None:
        """The record with that token."""
        id_ = self.tokens.get(token)
        return None if id_ is None else self.rows.get(id_)


class Store:
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
        self.specs = specs
        self.site = site
        self.iso_datetimes = False
        self.deleted_keys = self.cancelled_keys = "kept"  # see `Variant`
        self.caller = Caller()  # of the request that is being answered
        self._now = now or _utc_now
        self._seed = seed
        self._stamp = ""
        self.snapshots: dict[str, Image] = {}
        self.tables: dict[str, Table] = {}
        self.actions = ActionLog()
        self._counters: dict[str, int] = {}
        self._found: dict[Hashable, list[Row]] = {}
        self._found_on: dt.date | None = None
        self._keeper = None if file is None else Keeper(self, file)
        if file is None:
            self.found()
        else:
            self.start()
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

        Raises StorageError at the end, or at the start if the file could not be written before.
        """
        self._found.clear()
        return self.batch()

    def batch(self) -> AbstractContextManager[None]:
        """A block of blocks: they go into the file together."""
        return _NO_FILE if self._keeper is None else self._keeper

    def reading(self) -> AbstractContextManager[None]:
        """A block that changes nothing: rows are not watched, so that long lists cost less."""
        return _NO_FILE if self._keeper is None else self._keeper.reading

    def clear(self) -> None:
        """Forget every record and start all numbers and the random source anew."""
        with self.transaction():
            self._empty()
            self.found()

    def _empty(self) -> None:
        if self._keeper is not None:
            self._keeper.changes.clear()
            self._keeper.changes.emptied = True
        self.start()

    def snapshot(self) -> Image:
        """All that the store has at this moment, to be given to `restore`."""
        with self.reading():
            return Image(
                self.numbers(),
                [
                    (name, key, id_)
                    for name, table in self.tables.items()
                    for key in table.keys
                    if (id_ := table.abandoned(key)) is not None
                ],
                [
                    (name, id_, written.data, written.more)
                    for name, table in self.tables.items()
                    for id_ in table.ids
                    for written in (write(table.rows[id_]),)
                ],
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

    def _take(self, image: Image) -> None:
        for name, id_, data, more in image.records:
            self.table(name).insert(read(id_, Written(data, more)))
        for name, key, id_ in image.keys:
            self.table(name).abandon(key, id_)
        for _, name, id_, action in image.actions:
            self.actions.append(Done(name, id_, action))
        self.set_numbers(image.numbers)

    def found(self) -> None:
        """What a new account has, in place of all there is in memory."""
        self.start()
        self.preset(self.specs)

    def preset(self, names: Iterable[str]) -> None:
        """The records that a new account has of these objects."""
        for name in names:
            for record in self.specs[name].preset:
                self.seed(name, record)

    def start(self) -> None:
        """Nothing at all in memory; what is in the file stays."""
        self._found.clear()
        changes = None if self._keeper is None else self._keeper.changes
        self.tables = {name: Table(spec, changes) for name, spec in self.specs.items()}
        self.actions = ActionLog(maxlen=KEPT_ACTIONS)
        self._counters = {}
        self._tokens: tuple[int, list[str]] = (-1, [])

    def reseed(self, seed: int) -> None:
        """Start the random source of tokens anew."""
        with self.transaction():
            self._seed = seed
            self._tokens = (-1, [])
            self._counters["token"] = 0

    def numbers(self) -> dict[str, int]:
        """All counters by name, to be kept in a file."""
        ids = {f"next_id:{name}": table.next_id for name, table in self.tables.items()}
        return ids | {f"counter:{name}": value for name, value in self._counters.items()}

    def set_numbers(self, numbers: Mapping[str, int]) -> None:
        """Take over what `numbers` gave."""
        for name, value in numbers.items():
            kind, _, rest = name.partition(":")
            if kind == "counter":
                self._counters[rest] = value
            elif kind == "next_id" and rest in self.tables:
                self.tables[rest].next_id = value

    # What a test reads.

    def records(self, name: str) -> list[dict[str, Any]]:
        """All records of an object by rising id, as a single GET would show them."""
        table = self.table(name)
        with self.reading():
            return [deepcopy(self.render(table.spec, table.rows[id_])) for id_ in table.ids]

    def find(self, name: str, id_: int) -> dict[str, Any] | None:
        """The record with that id, or None."""
        table = self.table(name)
        return self._copy(table, table.rows.get(id_))

    def by_key(self, name: str, external_key: str) -> dict[str, Any] | None:
        """The record with that external key, or None."""
        table = self.table(name)
        return self._copy(table, table.by_key(external_key))

    def by_token(self, name: str, token: str) -> dict[str, Any] | None:
        """The record with that token, or None."""
        table = self.table(name)
        return self._copy(table, table.by_token(token))

    def _copy(self, table: Table, row: Row | None) -> dict[str, Any] | None:
        with self.reading():
            return None if row is None else deepcopy(self.render(table.spec, row))

    def count(self, name: str) -> int:
        """How many records of an object there are."""
        return len(self.table(name).rows)

    # What the rules use.

    def table(self, name: str) -> Table:
        """The table of an object; KeyError if the sandbox does not model it."""
        return self.tables[name]

    def row(self, name: str, id_: int | None) -> Row | None:
        """The row of an object with that id, or None."""
        return None if id_ is None else self.tables[name].rows.get(id_)

    def of_customer(self, name: str, customer_id: int | None) -> list[Row]:
        """The rows of an object that belong to a customer, by rising id."""
        if customer_id is None:
            return []
        rows = self.tables[name].index["customer_id"].get(customer_id, {})
        return [rows[id_] for id_ in sorted(rows)]

    @property
    def zone(self) -> dt.tzinfo:
        """The account's time zone."""
        return self._now().tzinfo or dt.UTC

    def stamp(self) -> str:
        """The account's time, as it is stored: ``2015-03-19 08:55:33``."""
        stamp = str(self._now())[:19]  # both rows of a customer share one string in this second
        if stamp != self._stamp:
            self._stamp = stamp
        return self._stamp

    def today(self) -> dt.date:
        """The account's day."""
        return self._now().date()

    def token(self) -> str:
        """A new random token: a digest of the seed and of how many there were before."""
        number = self.number("token")
        block, place = divmod(number, _TOKENS_AT_ONCE)
        if self._tokens[0] != block:
            self._tokens = block, _tokens(self._seed, block)
        return self._tokens[1][place]

    def number(self, counter: str) -> int:
        """The next number of a nested part, such as ``line_item_id``."""
        value = self._counters.get(counter, 0) + 1
        self._counters[counter] = value
        return value

    def used(self, counter: str, value: int | None) -> None:
        """Remember a number that a seed brought along."""
        if value is not None:
            self._counters[counter] = max(self._counters.get(counter, 0), value)

    def new_row(self, name: str, data: dict[str, Any]) -> Row:
        """A row with the next id, a token and its time stamps, not yet stored."""
        table = self.tables[name]
        token = self.token()
        while token in table.tokens:
            token = self.token()
        data["token"] = token
        data["write_datetime"] = data["mod_datetime"] = self.stamp()
        return Row(table.next_id, data)

    def value(self, spec: Spec, row: Row, name: str) -> Any:
        """One field of a record, derived if need be."""
        if row.given is not None and name in row.given:
            return row.given[name]
        derive = spec.derived.get(name)
        if derive is not None:
            return derive(self, row)
        if name == spec.key:
            return row.id
        return row.data.get(name, spec.template.get(name))

    def render(
        self, spec: Spec, row: Row, *, single: bool = True, expand: Iterable[str] = ()
    ) -> dict[str, Any]:
        """A record as the API shows it, alone or in a list with the nested parts of ``expand``."""
        left_out = () if single else [name for name in spec.single_only if name not in expand]
        record = dict(spec.template)
        record.update(row.data)
        record[spec.key] = row.id
        for name, derive in spec.derived.items():
            if name not in left_out:
                record[name] = derive(self, row)
        if row.given is not None:
            record.update(row.given)
        for name in spec.unshown:
            record.pop(name, None)
        for name in spec.numbers:
            value = record[name]
            if type(value) is Decimal:
                record[name] = amount(value)
        for name in left_out:
            record.pop(name, None)
        if self.iso_datetimes:
            for name in spec.moments:
                record[name] = self.iso(record[name])
            if "tiersets" in record:
                record["tiersets"] = [self._iso_tierset(each) for each in record["tiersets"]]
            if record.get("tierset"):
                record["tierset"] = self._iso_tierset(record["tierset"])
        return record

    def _iso_tierset(self, tierset: dict[str, Any]) -> dict[str, Any]:
        stamps = ("write_datetime", "mod_datetime")
        return tierset | {name: self.iso(tierset.get(name)) for name in stamps}

    def iso(self, stamp: str | None) -> str | None:
        """A stored datetime in ISO 8601 with the account's offset."""
        if not stamp:  # "" is recorded as well: a subscription that will not be invoiced again
            return stamp
        return dt.datetime.fromisoformat(stamp).replace(tzinfo=self.zone).isoformat()

    def candidates(self, spec: Spec, clauses: Iterable[Clause]) -> Iterable[Row] | None:
        """The few rows that an index leaves for ``clauses``, by rising id; None without an index.

        The clauses still have to be tested on each row.
        """
        table = self.tables[spec.name]
        for clause in clauses:
            if clause.operation != "EQUALS":
                continue
            name, value = clause.field, clause.value
            if name == "external_key" and value:
                return _only(table.by_key(value))
            if name == "token" and name not in spec.derived:
                return _only(table.by_token(value))
            if value.isascii() and value.isdigit() and len(value) < 19:
                if name == spec.key:
                    return _only(table.rows.get(int(value)))
                nested = spec.nested.get(name)
                index = table.index.get(nested.indexed_by if nested and nested.indexed_by else name)
                if index is not None:
                    rows = index.get(int(value), {})
                    return [rows[id_] for id_ in sorted(rows)]
        return None

    def slice(self, spec: Spec, offset: int, limit: int, *, descending: bool = False) -> list[Row]:
        """So many rows by rising (or falling) id."""
        table = self.tables[spec.name]
        count = len(table.ids)
        first = count - offset - limit if descending else offset
        ids = table.ids[max(0, first) : max(0, first + limit)]
        return [table.rows[id_] for id_ in (reversed(ids) if descending else ids)]

    def recall(self, query: Hashable) -> list[Row] | None:
        """What `remember` was given for this query, if nothing can have changed it since."""
        self._forget_yesterday()
        found = self._found.pop(query, None)
        if found is not None:
            self._found[query] = found  # the last one used is the last one dropped
        return found

    def remember(self, query: Hashable, found: list[Row]) -> None:
        """Keep what a query found until anything changes, so that its next page is cheap."""
        self._found[query] = found
        while len(self._found) > _QUERIES_KEPT:
            del self._found[next(iter(self._found))]

    def _forget_yesterday(self) -> None:
        # What is overdue depends on the day.
        today = self.today()
        if today != self._found_on:
            self._found.clear()
            self._found_on = today

    def scan(self, spec: Spec, after: int | None, *, descending: bool = False) -> Iterator[Row]:
        """All rows by rising (or falling) id, those up to ``after`` left out."""
        table = self.tables[spec.name]
        start = 0 if after is None else bisect_left(table.ids, after + 1)
        ids: Iterable[int] = table.ids
        if descending:
            ids = islice(reversed(table.ids), len(table.ids) - start)
        elif start:
            ids = islice(table.ids, start, None)
        return map(table.rows.__getitem__, ids)

    def seed(self, name: str, record: Mapping[str, Any]) -> int:
        """Store ``record`` as given, with its id and token, and return the id.

        Money may be int, str, float or Decimal. A record with the same id is replaced. Derived
        fields (totals, statuses, blocks, names of terms) keep the given values until the record
        is changed. A customer brings its main contact along, an item its pricing, an invoice its
        lines. Unknown fields are kept and shown. Fields that are left out are made up as for a
        new record.
        """
        with self.transaction():
            return self._plant(name, record)

    def _plant(self, name: str, record: Mapping[str, Any]) -> int:
        table = self.tables[name]
        spec = table.spec
        data: dict[str, Any] = {}
        given: dict[str, Any] = {}
        for key, value in record.items():
            if spec.kinds.get(key) == NUMBER and value is not None:
                value = Decimal(str(value))
            elif spec.kinds.get(key) in (DATE, MOMENT) and isinstance(value, dt.date):
                value = str(value)
            (data if key in spec.kinds and key not in spec.derived else given)[key] = value
        id_ = int(data.pop(spec.key, table.next_id))
        if id_ < 1:
            raise ValueError(f"{name}: {spec.key} must be at least 1, not {id_}")
        stamp = self.stamp()
        data.setdefault("write_datetime", stamp)
        data.setdefault("mod_datetime", data["write_datetime"])
        if not data.get("token"):
            data["token"] = self.token()
        external_key = data.get("external_key")
        if external_key and table.keys.get(external_key, id_) != id_:
            raise ValueError(f"{name}: external_key {external_key!r} is taken")
        row = Row(id_, data)
        row.given = given or None
        replaced = table.rows.get(id_)
        if replaced is not None:
            table.remove(replaced, free_key=True)
        spec.on_seed(self, row, dict(record))
        table.insert(row)
        return id_


def _only(row: Row | None) -> list[Row]:
    return [] if row is None else [row]


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _tokens(seed: int, block: int) -> list[str]:
    """So many tokens at once, as that is much cheaper."""
    rest = int.from_bytes(blake2b(b"%d:%d" % (seed, block), digest_size=64).digest(), "big")
    tokens: list[str] = []
    for _ in range(_TOKENS_AT_ONCE):
        rest, bits = divmod(rest, 2**64)
        token = ""
        for _ in range(TOKEN_LENGTH // 3):
            bits, quarter = divmod(bits, len(_QUARTERS))
            token += _QUARTERS[quarter]
        tokens.append(token)
    return tokens


__all__ = (
    "KEPT_REVISIONS",
    "Action",
    "Derive",
    "Done",
    "Hook",
    "NestedField",
    "Row",
    "Spec",
    "Store",
    "Table",
)
