"""What keeps a store and its file the same: each request commits before it is answered."""

from __future__ import annotations

from types import TracebackType

from .file import Batch, StorageError, StoreFile
from .log import Done
from .row import read, write
from .table import Changes
from .tables import Tables


class Keeper:
    """Writes what a request changed into the file, in one transaction, before it is answered.

    The tables in memory are what requests work on; the file is what counts. Entered like a context
    manager around a request (a whole ``_bulk``), again for each item inside of it.

    1. When the outermost block ends, what changed inside is in the file, or StorageError is raised.
    2. If it was raised, or the block failed, the tables are loaded anew: they never run ahead.
    3. While the file cannot be written, further changes are refused before anything is done.
    """

    def __init__(self, store: Tables, file: StoreFile, changes: Changes) -> None:
        self.changes = changes
        self._store = store
        self._file = file
        self._depth = 0
        self._failed = False
        self._stale = False
        self._numbers: dict[str, int] = {}
        self._actions = 0

    def open(self) -> None:
        """Hold the file and load what is in it; an empty one is given a new account."""
        if self._file.is_open:
            return
        self._file.open()
        try:
            self._failed = self._stale = False
            known = self._load()
            with self:  # an account, or what an older version did not know of it
                self._store.preset(
                    name for name in self._store.specs if f"next_id:{name}" not in known
                )
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Let go of the file; what was changed outside of any request is written first."""
        try:
            if self._file.is_open and not self._stale:
                self._commit()
        finally:
            self._file.close()

    def __enter__(self) -> None:
        """Begin a request, or a part of one."""
        if not self._depth:
            self._file.held()
            if self._failed:
                self._file.write(Batch(numbers=[("failures", 1)]))
                self._failed = False
            self.freshen()
        self._depth += 1

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it; the outermost end writes."""
        self._depth -= 1
        if self._depth:
            return
        if exc_type is None:
            try:
                self._commit()
            except BaseException:
                self._failed = self._stale = True
                self.freshen()
                raise
        else:
            self._stale = True
            self.freshen()

    def freshen(self) -> None:
        """Load the tables anew if they may differ from the file; raises StorageError."""
        if self._stale:
            self._load()
            self._stale = False

    # From memory to the file.

    def _commit(self) -> None:
        changes, store = self.changes, self._store
        batch = Batch(emptied=changes.emptied)
        for name, id_ in changes.rows:
            row = store.tables[name].rows.get(id_)
            if row is None:
                batch.gone.append((name, id_))
            else:
                batch.records.append(write(row))
        for name, key in changes.keys:
            holder = store.tables[name].abandoned(key)
            if holder is None:
                batch.freed.append((name, key))
            else:
                batch.keys.append((name, key, holder))
        numbers = store.numbers()
        known = {} if changes.emptied else self._numbers
        if numbers != known:
            batch.numbers = [item for item in numbers.items() if known.get(item[0]) != item[1]]
        actions = store.actions
        old = 0 if changes.emptied else self._actions
        if actions.added > old:
            fresh = min(actions.added - old, len(actions))
            first = actions.added - fresh + 1
            latest = [actions[index] for index in range(-fresh, 0)]
            batch.actions = [
                (number, done.object, done.id, done.action)
                for number, done in enumerate(latest, first)
            ]
            batch.forgotten = max(0, actions.added - (actions.maxlen or 0))
        if batch:
            self._file.write(batch)
        changes.clear()
        self._numbers = numbers
        self._actions = actions.added

    # From the file to memory.

    def _load(self) -> dict[str, int]:
        """The counters that were in the file: none if it is new."""
        self.changes.clear()
        store = self._store
        image = self._file.image()
        store.start()
        try:
            for name, key, id_ in image.keys:
                store.table(name).keys[key] = id_
            for record in image.records:
                row = read(*record)
                store.table(row.name).place(row)
        except KeyError as error:
            raise StorageError(
                f"{self._file.path} holds records of {error}, an object that this version of "
                "chargeover_async does not know"
            ) from None
        for number, name, id_, action in image.actions:
            store.actions.append(Done(name, id_, action))
            store.actions.added = number
        store.set_numbers(image.numbers)
        self._numbers = image.numbers
        self._actions = store.actions.added
        return image.numbers
