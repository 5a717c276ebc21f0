"""The failure file of an earlier import, read as the data that was to be sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, cast

from chargeover_async.migrate.mask import MASK, holds_mask

from .json_rows import JsonSource
from .row import BadRow, Row, Skip


class FailureSource(JsonSource, frozen=True, kw_only=True):
    """The entries of a failure file about the object ``only``.

    Where ``strays`` names all objects that are read, an entry about any other is a `BadRow`.
    """

    format: ClassVar[str] = "failures"
    endings: ClassVar[tuple[str, ...]] = ()

    only: str
    strays: tuple[str, ...] = ()

    @property
    def reading(self) -> tuple[str, ...]:
        """See `Source.reading`."""
        return self.format, self.encoding, self.delimiter, self.only

    def rows(self, skip: Skip | None = None) -> Iterator[Row | BadRow]:
        """See `Source.rows`."""
        for entry in JsonSource.rows(self, skip):
            if isinstance(entry, BadRow):
                if self.strays:
                    yield entry
                continue
            name, data = entry.cells.get("object"), entry.cells.get("data")
            if name != self.only:
                if self.strays and name not in self.strays:
                    message = f"{name!r} cannot be imported by itself"
                    yield BadRow(entry.line, message, entry.cells)
            elif not isinstance(data, dict):
                yield BadRow(entry.line, 'put what is to be sent into "data"', entry.cells)
            elif holds_mask(data):
                message = f'put the true value in the place of "{MASK}..."'
                yield BadRow(entry.line, message, entry.cells)
            else:
                yield Row(entry.line, cast("dict[str, Any]", data))


__all__ = ("FailureSource",)
