"""Records from files, for an account to begin with.

Three forms: ``customer.jsonl`` (one record of the object of that name a line), a ``.json`` file
like the body of ``POST /_sandbox/seed`` (``{"customer": [{...}], "item": [{...}]}``), and a
directory of such files. What a record may hold is said at `Store.seed`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from chargeover_async.sandbox.protocol.answers import Refused, decode
from chargeover_async.sandbox.protocol.values import is_array, is_object

from .store import Store

_DONE = "seeded"  # a counter, so that a file knows that it has been seeded


class _Seed(NamedTuple):
    """One record, and where it stands."""

    object: str
    record: dict[str, Any]
    place: str


def seed_once(store: Store, paths: Iterable[str | os.PathLike[str]]) -> None:
    """Store the records of files, all or none, unless this account has been seeded before.

    Objects come in the order in which they refer to each other, whatever the order of the files.
    Raises ValueError, which names file and line, for a record that cannot be stored, OSError for a
    file that cannot be read.
    """
    if store.numbers().get(f"counter:{_DONE}"):
        return
    seeds = [seed for path in paths for seed in _read(Path(path), store)]
    order = {name: position for position, name in enumerate(store.specs)}
    seeds.sort(key=lambda seed: order[seed.object])
    before = store.snapshot()
    try:
        with store.transaction():
            for seed in seeds:
                _plant(store, seed)
            if seeds:
                store.number(_DONE)
    except ValueError:
        store.restore(before)  # a store without a file cannot undo by itself
        raise


def _plant(store: Store, seed: _Seed) -> None:
    try:
        store.seed(seed.object, seed.record)
    except (Refused, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{seed.place}: {error!r}") from error


def _read(path: Path, store: Store) -> Iterator[_Seed]:
    if path.is_dir():
        for file in sorted(path.iterdir()):
            if file.suffix in (".json", ".jsonl"):
                yield from _read(file, store)
    elif path.suffix == ".jsonl":
        _must_be_known(path.stem, store, str(path))
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.isspace():
                    place = f"{path} line {number}"
                    yield _Seed(path.stem, _object(line, place), place)
    elif path.suffix == ".json":
        for name, records in _object(path.read_bytes(), str(path)).items():
            _must_be_known(name, store, str(path))
            if not is_array(records):
                raise ValueError(f"{path}: {name} must be an array of records")
            for number, record in enumerate(records, 1):
                place = f"{path}: {name} {number}"
                if not is_object(record):
                    raise ValueError(f"{place}: a record must be a JSON object")
                yield _Seed(name, record, place)
    else:
        raise ValueError(f"{path}: a seed is a .jsonl or .json file, or a directory of them")


def _object(text: bytes, place: str) -> dict[str, Any]:
    try:
        value = decode(text)
    except Refused:
        raise ValueError(f"{place}: malformed JSON") from None
    if not is_object(value):
        raise ValueError(f"{place}: not a JSON object")
    return value


def _must_be_known(name: str, store: Store, place: str) -> None:
    spec = store.specs.get(name)
    if spec is None or spec.internal:
        known = ", ".join(name for name, spec in store.specs.items() if not spec.internal)
        raise ValueError(f"{place}: there is no object {name!r}; known are {known}")
