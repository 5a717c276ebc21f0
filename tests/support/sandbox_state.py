"""Everything that a sandbox's store has to remember, to be compared."""

from __future__ import annotations

from typing import Any

from chargeover_async.sandbox import Store
from chargeover_async.sandbox.store.frozen import FrozenDict, FrozenList


def assert_frozen(value: Any) -> None:
    """No part of it can be written to."""
    if isinstance(value, (dict, list)):
        assert type(value) in (FrozenDict, FrozenList), value
        for part in value.values() if isinstance(value, dict) else value:
            assert_frozen(part)


def whole_state(store: Store) -> dict[str, Any]:
    """All that a store has to remember, with the types of the values."""
    store.freshen()
    for table in store.tables.values():
        for row in table.rows.values():
            assert_frozen(row.data)
    rows = {
        (name, id_): repr((sorted(row.data.items()), row.given, row.notes))
        for name, table in store.tables.items()
        for id_, row in table.rows.items()
    }
    tables = {
        name: (list(table.ids), dict(table.keys), dict(table.tokens))
        for name, table in store.tables.items()
    }
    indexes = {
        (name, field, value, id_)
        for name, table in store.tables.items()
        for field, index in table.index.items()
        for value, held in index.items()
        for id_ in held
    }
    return {
        "rows": rows,
        "tables": tables,
        "indexes": indexes,
        "numbers": store.numbers(),
        "actions": list(store.actions),
    }
