"""What an export or a sync is asked for, checked before anything is sent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from chargeover_async._hints import did_you_mean
from chargeover_async.errors import UsageError
from chargeover_async.models._json.mend import DateFormat
from chargeover_async.query import Clause, Field, Where, where_pair
from chargeover_async.resources import RESOURCES
from chargeover_async.resources._calls.base import BaseResource
from chargeover_async.resources._calls.kinds import Pageable
from chargeover_async.resources._calls.lists import AllAtOnce, Unfiltered

from .arrow import Parquet
from .columns import choose, columns_of, moment_of, parse_where
from .formats import Compressed, Csv, Format, JsonLines

if TYPE_CHECKING:
    from chargeover_async.client import ChargeOver

FORMATS = ("jsonl", "csv", "parquet")
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_ENDINGS = {f".{name}": name for name in FORMATS} | {".ndjson": "jsonl"}


class Wanted:
    """An object, which of its records and fields, and the form to write them in.

    Raises UsageError for what cannot be meant, and for a format whose extra is missing.
    """

    def __init__(
        self,
        object_name: str,
        *,
        form: tuple[str, str],
        where: Sequence[str] | Where,
        since: dt.date | str | None = None,
        fields: Sequence[str] | None,
        nested: bool,
    ) -> None:
        self.resource = resource_class(object_name)
        self.format, self.compression = form
        self.where = [*_clauses(where, self.resource), *_since(since, self.resource)]
        self.fields = None if fields is None else list(fields)
        self.nested = nested
        self.make_format(None)

    def resource_of(self, co: ChargeOver) -> BaseResource[Any]:
        """The resource of a client."""
        found: BaseResource[Any] = getattr(co, self.resource.attribute)
        return found

    def make_format(self, dates: DateFormat | None) -> Format:
        """What turns pages into bytes."""
        model = self.resource.model
        columns = choose(model, self.fields, self.resource.attribute)
        made: Format
        if self.format == "parquet":
            return Parquet(model, columns, dates)
        if self.format == "csv":
            made = Csv(model, columns, dates)
        else:
            made = JsonLines(None if self.fields is None else columns)
        return Compressed(made, self.compression) if self.compression else made

    def question(self, co: ChargeOver) -> dict[str, Any]:
        """What was asked for, of which account, as plain values."""
        return {
            "account": co._url,
            "object": self.resource.object,
            "format": f"{self.format} {self.compression}".strip(),
            "where": dict(where_pair(self.where or None)).get("where", ""),
            "fields": self.fields,
            "nested": self.nested,
        }


def resource_class(name: str) -> type[BaseResource[Any]]:
    """The resource of an object by the vendor's name (``invoice``) or ours (``invoices``).

    Raises UsageError for an unknown one, or one that the API does not list.
    """
    by_name = {
        known: cls
        for cls in RESOURCES.values()
        if issubclass(cls, (Pageable, Unfiltered, AllAtOnce))
        for known in (cls.attribute, cls.object.lstrip("_"), cls.object)
    }
    if name not in by_name:
        listed = ", ".join(sorted({cls.object.lstrip("_") for cls in by_name.values()}))
        raise UsageError(
            f'"{name}" is no object that can be exported{did_you_mean(name, by_name)}. '
            f"There are: {listed}"
        )
    return by_name[name]


def form_of(name: str | None, output: Path | BinaryIO, *, is_stream: bool) -> tuple[str, str]:
    """Format and compression, as given or as the ending says; JSON Lines for a stream without."""
    suffixes = [suffix.lower() for suffix in output.suffixes] if isinstance(output, Path) else []
    compression = COMPRESSIONS.get(suffixes[-1], "") if suffixes else ""
    if compression:
        suffixes.pop()
    if name is None:
        name = _ENDINGS.get(suffixes[-1] if suffixes else "", "jsonl" if is_stream else None)
        if name is None:
            known = ", ".join(FORMATS)
            raise UsageError(f"the ending of {str(output)!r} tells no format: give one of {known}")
    if name not in FORMATS:
        raise UsageError(f'format must be one of {", ".join(FORMATS)}, not "{name}"')
    if name == "parquet" and is_stream:
        raise UsageError("Parquet cannot be written to a stream: give the name of a file")
    if name == "parquet" and compression:
        raise UsageError("Parquet is compressed by itself: leave the second ending out")
    return name, compression


def _clauses(where: Any, resource: type[BaseResource[Any]]) -> list[Clause]:
    if where is None:
        return []
    given = [where] if isinstance(where, (str, Clause)) else list(where)
    return [
        clause
        if isinstance(clause, Clause)
        else parse_where([clause], resource.model, resource.attribute)[0]
        for clause in given
    ]


def _since(since: Any, resource: type[BaseResource[Any]]) -> list[Clause]:
    if since is None:
        return []
    if "mod_datetime" not in {column.name for column in columns_of(resource.model)}:
        raise UsageError(
            f"{resource.attribute} have no mod_datetime, so nothing tells what changed since"
        )
    return [Field("mod_datetime") >= (moment_of(since) if isinstance(since, str) else since)]


__all__ = ("COMPRESSIONS", "FORMATS", "Wanted", "form_of", "resource_class")
