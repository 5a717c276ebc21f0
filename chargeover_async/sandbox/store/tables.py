"""What the rules know of the account: its objects, their rows, its time, and how records show.

Nothing here knows of HTTP, and little of ChargeOver.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, NamedTuple

import msgspec

from chargeover_async.sandbox.protocol.answers import Refused, amount
from chargeover_async.sandbox.protocol.caller import Caller
from chargeover_async.sandbox.protocol.values import DATE, MOMENT, NESTED, NUMBER, kinds_of

from .frozen import freeze_fields
from .log import KEPT_ACTIONS, ActionLog
from .row import Draft, Record, Row
from .table import Changes, Table
from .tokens import Tokens

_ALWAYS = frozenset(("token", "write_datetime", "mod_datetime"))
_REFERENCE_FORMS = ("id", "external_key", "token")

Derive = Callable[["Tables", Row], Any]
# An action answers what stands in ``response``, or a whole `Answer` where it is not a plain 200.
Action = Callable[["Tables", Row, Any], Any]
CollectionAction = Callable[["Tables", Any], Any]
Hook = Callable[["Tables", Row, dict[str, Any]], None]
DraftHook = Callable[["Tables", Draft, dict[str, Any]], None]


class NestedField(NamedTuple):
    """A dotted name that may be filtered by: its kind, and the values a record has for it."""

    kind: str
    values: Callable[[Tables, Row], Iterable[Any]]
    indexed_by: str | None = None


def _nothing(_store: Tables, _row: Record, _fields: Mapping[str, Any]) -> None:
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
    through: frozenset[str] = frozenset()  # derived, yet a hook takes what is given
    seeds: frozenset[str] = frozenset()  # not in the model, yet for a seed to give
    sticky: frozenset[str] = frozenset()  # derived, and a given value outlives an update
    nested: Mapping[str, NestedField] = field(default_factory=dict[str, NestedField])
    indexes: tuple[str, ...] = ()
    # Other names of fields, in a body and in ``order``.
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    on_create: DraftHook = _nothing  # checks everything before it writes anything
    on_update: DraftHook = _nothing  # the same; the draft is the record with the changes in it
    before_update: Hook = _nothing  # the record is still as it was; may refuse
    # Everything is stored; gets the values from before; cannot fail.
    after_update: Callable[[Tables, Row, Mapping[str, Any]], None] = _nothing
    on_delete: Callable[[Tables, Row], None] = lambda _store, _row: None
    on_seed: DraftHook = _nothing
    # The stored record that a create means instead of a new one, which is then updated.
    same: Callable[[Tables, dict[str, Any]], Row | None] | None = None
    # The events that are posted to hooks, and what else is sent along: customer or user.
    events: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    actions: Mapping[str, Action] = field(default_factory=dict[str, Action])
    collection_actions: Mapping[str, CollectionAction] = field(
        default_factory=dict[str, CollectionAction]
    )
    quiet: frozenset[str] = frozenset()  # actions that leave mod_datetime as it is
    lists_taken: frozenset[str] = frozenset()  # actions whose body may be an array
    post: CollectionAction | None = None  # what a POST to the collection does in place of a create
    unpaged: bool = False  # the list takes neither filter nor paging
    reads: bool = True  # records can be listed and read
    reference_fields: frozenset[str] = field(init=False)
    kinds: Mapping[str, str] = field(init=False)
    writable: Mapping[str, str] = field(init=False)
    template: Mapping[str, Any] = field(init=False)
    unshown: tuple[str, ...] = field(init=False)
    seedable: frozenset[str] = field(init=False)
    numbers: tuple[str, ...] = field(init=False)
    moments: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        kinds = {n: k for n, k in kinds_of(self.model).items() if n not in self.hidden}
        closed = self.read_only | (self.derived.keys() - self.through) | {self.key, "token"}
        closed |= {"write_datetime", "mod_datetime"}
        writable = {n: k for n, k in kinds.items() if k != NESTED and n not in closed}
        template = freeze_fields({name: self.defaults.get(name) for name in kinds})
        set_ = object.__setattr__
        forms = [f"{name}_{form}" for name in self.references for form in _REFERENCE_FORMS]
        set_(self, "reference_fields", frozenset(forms))
        set_(self, "kinds", kinds)
        set_(self, "writable", writable)
        set_(self, "template", template)
        # What every row has, and only those records show whose model knows it.
        set_(self, "seedable", _ALWAYS | kinds.keys() | self.hidden | self.private | self.seeds)
        set_(self, "unshown", tuple((_ALWAYS - kinds.keys()) | self.private))
        set_(self, "numbers", tuple(n for n, k in kinds.items() if k == NUMBER))
        set_(self, "moments", tuple(n for n, k in kinds.items() if k == MOMENT))

    @property
    def no_such(self) -> Refused:
        """The error for a record that is not there (recordings `missing_customer` and others)."""
        return Refused(f"This {self.name.lstrip('_')} does not exist.", 404, None)


class Tables:
    """The records of one account, and whatever its rules ask for besides.

    ``now`` gives the account's time as an aware datetime; its zone is the account's zone. ``seed``
    makes tokens and user names come out the same each time. ``changes`` is told what changes.
    """

    def __init__(
        self,
        specs: Mapping[str, Spec],
        *,
        seed: int,
        now: Callable[[], dt.datetime],
        site: str,
        changes: Changes | None,
    ) -> None:
        self.specs = specs
        self.site = site
        self.iso_datetimes = False
        self.deleted_keys = self.cancelled_keys = "kept"  # see `Variant`
        self.caller = Caller()  # of the request that is being answered
        self._now = now
        self._stamp = ""
        self._tokens = Tokens(seed)
        self._changes = changes
        self.start()

    def start(self) -> None:
        """Nothing at all in memory; what is in a file stays."""
        self.tables: dict[str, Table] = {
            name: Table(name, spec.first_id, spec.indexes, self._changes)
            for name, spec in self.specs.items()
        }
        self.actions = ActionLog(maxlen=KEPT_ACTIONS)
        self._counters: dict[str, int] = {}

    def preset(self, names: Iterable[str]) -> None:
        """The records that a new account has of these objects."""
        for name in names:
            for record in self.specs[name].preset:
                self.plant(name, record)

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

    # Records.

    def count(self, name: str) -> int:
        """How many records of an object there are."""
        return len(self.tables[name].rows)

    def table(self, name: str) -> Table:
        """The table of an object; KeyError if the sandbox does not model it."""
        return self.tables[name]

    def row(self, name: str, id_: int | None) -> Row | None:
        """The row of an object with that id, or None."""
        return None if id_ is None else self.tables[name].rows.get(id_)

    def having(self, name: str, field: str, value: int | None) -> list[Row]:
        """The rows of an object that have ``value`` in an indexed field, by rising id."""
        return self.tables[name].having(field, value)

    def of_customer(self, name: str, customer_id: int | None) -> list[Row]:
        """The rows of an object that belong to a customer, by rising id."""
        return self.tables[name].having("customer_id", customer_id)

    # The door: a record comes, changes and goes by these alone.

    def draft(self, name: str, data: dict[str, Any]) -> Draft:
        """A record with the next id, a token and its time stamps, not yet stored."""
        table = self.tables[name]
        token = self.token()
        while token in table.tokens:
            token = self.token()
        data["token"] = token
        data["write_datetime"] = data["mod_datetime"] = self.stamp()
        return Draft(name, table.next_id, data)

    def insert(self, draft: Draft) -> Row:
        """Store a new record; its id and token must be free."""
        return self.tables[draft.name].insert(draft)

    def change(self, row: Row, /, **values: Any) -> None:
        """Give a record new values; indexes, keys and the file follow."""
        self.tables[row.name].change(row, values)

    def forget(self, row: Row, names: Iterable[str] | None = None) -> None:
        """Let fields be derived again that a seed had fixed; all of them by default."""
        if row.given is not None:
            self.tables[row.name].forget(row, names)

    def note(self, row: Row, stamp: str, text: str) -> None:
        """Add a revision; only the newest ten are kept."""
        self.tables[row.name].note(row, stamp, text)

    def remove(self, row: Row, *, free_key: bool = False) -> None:
        """Take a record away; its external key stays taken unless ``free_key``."""
        self.tables[row.name].remove(row, free_key=free_key)

    # The account's time and numbers.

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
        """A new random token."""
        return self._tokens.at(self.number("token"))

    def number(self, counter: str) -> int:
        """The next number of a nested part, such as ``line_item_id``."""
        value = self._counters.get(counter, 0) + 1
        self._counters[counter] = value
        return value

    def used(self, counter: str, value: int | None) -> None:
        """Remember a number that a seed brought along."""
        if value is not None:
            self._counters[counter] = max(self._counters.get(counter, 0), value)

    # What a record shows.

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
                record["tiersets"] = [self._iso_tierset(tierset) for tierset in record["tiersets"]]
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

    def plant(
        self, name: str, record: Mapping[str, Any], extra: Mapping[str, Any] | None = None
    ) -> Row:
        """Store a record as it is given; see `Store.seed`."""
        table, spec = self.tables[name], self.specs[name]
        check_names(name, record, spec.seedable)
        fields = {**record, **(extra or {})}
        data: dict[str, Any] = {}
        given: dict[str, Any] = {}
        for key, value in fields.items():
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
        draft = Draft(name, id_, data, given)
        spec.on_seed(self, draft, fields)
        replaced = table.rows.get(id_)
        if replaced is not None:
            table.remove(replaced, free_key=True)
        return table.insert(draft)


def check_names(what: str, fields: Iterable[str], known: Collection[str]) -> None:
    """Raise ValueError for a field of a seed that is misspelt, with the nearest that is known."""
    for name in fields:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{what} has no field {name!r}{hint}")
