"""One mistake in what is to be imported."""

from __future__ import annotations

import msgspec

from chargeover_async.migrate.mask import printable


class Problem(msgspec.Struct, frozen=True):
    """One mistake: where it is and what it is. ``row`` 0 means the file as a whole.

    ``file`` is ``""`` when the message names it itself. ``is_duplicate``: another row has the key,
    and what refers to the key means that one. ``is_unknown``: a reference to nobody.
    """

    file: str
    row: int
    message: str
    column: str = ""
    field: str = ""
    is_duplicate: bool = False
    is_unknown: bool = False

    def __post_init__(self) -> None:
        for name in ("message", "column", "field"):
            msgspec.structs.force_setattr(self, name, printable(getattr(self, name)))

    def __str__(self) -> str:
        if not self.file:
            return self.message
        place = f"{self.file} row {self.row}" if self.row else self.file
        if self.column:
            place += f', column "{self.column}"'
        if self.field:
            place += f", field {self.field}"
        return f"{place}: {self.message}"


__all__ = ("Problem",)
