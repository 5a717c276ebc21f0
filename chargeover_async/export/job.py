"""An export: a whole object into one file, or into a stream."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import msgspec

from chargeover_async._wire.bulk import MAX_ITEMS
from chargeover_async.errors import UsageError
from chargeover_async.migrate._names import did_you_mean
from chargeover_async.models._codec import DateFormat
from chargeover_async.query import Clause, Field, Where, where_pair
from chargeover_async.resources import RESOURCES
from chargeover_async.resources._base import BaseResource
from chargeover_async.resources._kinds import Listable
from chargeover_async.resources._lists import Unfiltered, Whole

from .arrow import Parquet
from .columns import choose, columns_of, moment_of, parse_where
from .formats import Compressed, Csv, Format, JsonLines
from .page import Page
from .part import Part
from .reader import Reader, can_page_by_key

if TYPE_CHECKING:
    import datetime as dt

    from chargeover_async.client import ChargeOver

logger = logging.getLogger("chargeover_async.export")

SAVE_EVERY_S = 1.0

FORMATS = ("jsonl", "csv", "parquet")
_ENDINGS = {f".{one}": one for one in FORMATS} | {".ndjson": "jsonl"}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_SQUEEZED = [[one] for one in COMPRESSIONS]


class ExportProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Where an export stands: ``total`` is what the API counted at the start, None if it cannot."""

    records: int
    total: int | None
    requests: int
    seconds: float
    resumed_at: int = 0


class ExportSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What an export has read.

    ``records`` are in the output, ``resumed_at`` of them from an earlier run of the same export.
    ``counted`` is how many the API counted, the lesser of before and after; None where it does not
    count. With ``is_short`` fewer were read than it counted both times: some are missing.
    """

    object: str
    records: int
    requests: int
    seconds: float
    output: str = ""
    resumed_at: int = 0
    counted: int | None = None
    pages_in_bulk: bool = False

    @property
    def is_short(self) -> bool:
        """Whether the API says that there are more records than were read."""
        return self.counted is not None and self.records < self.counted

    def json(self) -> str:
        """As one JSON object."""
        return msgspec.json.encode(self).decode()


def resource_class(name: str) -> type[BaseResource[Any]]:
    """The resource of an object by the vendor's name (``invoice``) or ours (``invoices``).

    Raises UsageError for an unknown one, or one that the API does not list.
    """
    by_name = {
        one: cls
        for cls in RESOURCES.values()
        if issubclass(cls, (Listable, Unfiltered, Whole))
        for one in (cls.attribute, cls.object.lstrip("_"), cls.object)
    }
    if name not in by_name:
        listed = ", ".join(sorted({cls.object.lstrip("_") for cls in by_name.values()}))
        raise UsageError(
            f'"{name}" is no object that can be exported{did_you_mean(name, by_name)}. '
            f"There are: {listed}"
        )
    return by_name[name]


class ExportJob:
    """One object into one output.

    ``output`` is a path, whose file is replaced in one step once all is read, or an open binary
    file, which is written as pages come. ``format`` is ``"jsonl"``, ``"csv"`` or
    ``"parquet"`` (extra ``parquet``); left out, it is that of the path's ending. A path that ends
    in ``.gz`` or ``.zst`` (extra ``zstd``) is compressed. ``where`` takes filters as text
    (`columns.parse_where`) or clauses (``F.total > 100``), ``since`` a date or datetime: what was
    changed then or later. ``fields`` picks columns. ``nested`` reads each record by itself, so that
    the parts are there which lists leave out.

    A run that ended early left ``OUTPUT.part``: the same job goes on behind it, unless ``restart``
    is given. All checks are made here and by the start of `run`, before anything is sent; they
    raise UsageError.
    """

    def __init__(
        self,
        object_name: str,
        output: Path | BinaryIO,
        *,
        format: str | None = None,  # noqa: A002 - what everybody calls it
        where: Sequence[str] | Where = None,
        since: dt.date | str | None = None,
        fields: Sequence[str] | None = None,
        nested: bool = False,
        restart: bool = False,
        pages_per_request: int = MAX_ITEMS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resource = resource_class(object_name)
        self._output = output
        self._format, self._compression = _format_name(format, output)
        self._where = [*_clauses(where, self._resource), *_since(since, self._resource)]
        self._fields = None if fields is None else list(fields)
        choose(self._resource.model, self._fields, self._resource.attribute)
        self._file_format = self._make_format(None)  # so that a missing extra is said at once
        self._nested = nested
        self._restart = restart
        self._pages_per_request = pages_per_request
        self._clock = clock
        self._began = 0.0
        self._records = 0
        self._after = 0
        self._resumed_at = 0
        self._counted: int | None = None
        self._reader: Reader | None = None

    @property
    def part(self) -> Path | None:
        """Where an unfinished export waits to go on; None for a stream."""
        output = self._output
        return output.with_name(f"{output.name}.part") if isinstance(output, Path) else None

    async def run(
        self,
        co: ChargeOver,
        *,
        observe: Callable[[ExportProgress], None] | None = None,
    ) -> ExportSummary:
        """Read everything and write it; to be called once.

        ``observe`` is called after every page; an error in it is logged and goes no further.
        Raises what a list raises once the retry policy gives up, DecodeError, and OSError when the
        output cannot be written on; what was read until then is kept in the part file.
        """
        self._began = self._clock()
        resource: BaseResource[Any] = getattr(co, self._resource.attribute)
        self._file_format = self._make_format(resource._options.dates)
        part = self._open_part(co)
        if part is not None and can_page_by_key(self._resource):
            self._after = part.state.after
            self._records = self._resumed_at = part.state.records
        try:
            self._reader = reader = Reader(
                resource,
                where=self._where or None,
                after=self._after,
                nested=self._nested,
                pages_per_request=self._pages_per_request,
            )
            before = await self._write(reader, part, observe)
            self._counted = await self._count_again(reader, before)
            if part is not None:
                await asyncio.to_thread(self._finish, part)
        finally:
            if part is not None:
                part.close()
        return self.summary()

    def summary(self) -> ExportSummary:
        """What was read so far."""
        reader = self._reader
        return ExportSummary(
            object=self._resource.object,
            records=self._records,
            requests=reader.requests if reader else 0,
            seconds=round(self._clock() - self._began, 3) if reader else 0.0,
            output=str(self._output) if isinstance(self._output, Path) else "",
            resumed_at=self._resumed_at,
            counted=self._counted,
            pages_in_bulk=reader.uses_bulk if reader else False,
        )

    # -- writing -----------------------------------------------------------------------------

    def _make_format(self, dates: DateFormat | None) -> Format:
        model = self._resource.model
        columns = choose(model, self._fields, self._resource.attribute)
        made: Format
        if self._format == "parquet":
            return Parquet(model, columns, dates)
        if self._format == "csv":
            made = Csv(model, columns, dates)
        else:
            made = JsonLines(None if self._fields is None else columns)
        return Compressed(made, self._compression) if self._compression else made

    def _open_part(self, co: ChargeOver) -> Part | None:
        if not isinstance(self._output, Path):
            return None
        question = {
            "account": co._url,
            "object": self._resource.object,
            "format": f"{self._format} {self._compression}".strip(),
            "where": dict(where_pair(self._where or None)).get("where", ""),
            "fields": self._fields,
            "nested": self._nested,
        }
        # Where reading cannot begin in the middle, it begins anew.
        restart = self._restart or not can_page_by_key(self._resource)
        return Part(self._output, question, restart=restart)

    async def _write(
        self,
        reader: Reader,
        part: Part | None,
        observe: Callable[[ExportProgress], None] | None,
    ) -> int | None:
        """Write every page; returns how many records the API counted at the start."""
        made = self._file_format
        append = part.append if part is not None else cast("BinaryIO", self._output).write
        if part is None or part.size == 0:
            append(made.head())
        else:
            made.notes = dict(part.state.notes)
        saved = self._clock()
        try:
            async with aclosing(self._pages(reader)) as pages:
                async for page in pages:
                    append(made.encode(page))
                    self._records += len(page.ids)
                    self._after = page.ids[-1]
                    if part is not None and self._clock() - saved >= SAVE_EVERY_S:
                        await asyncio.to_thread(self._save, part)
                        saved = self._clock()
                    if observe is not None:
                        self._tell(observe, reader)
        except BaseException:
            if part is not None:
                with contextlib.suppress(OSError):
                    self._save(part)
            raise
        return None if reader.total is None else reader.total + self._resumed_at

    def _pages(self, reader: Reader) -> AsyncGenerator[Page]:
        return reader.pages()

    def _save(self, part: Part) -> None:
        if can_page_by_key(self._resource):
            part.save(self._after, self._records, self._file_format.notes)

    def _finish(self, part: Part) -> None:
        made = self._file_format
        if made.is_final:
            part.finish()
        else:
            part.flush()
            whole = part.output.with_name(f"{part.output.name}.tmp")
            made.rewrite(part.path, whole)
            part.finish_as(whole)

    async def _count_again(self, reader: Reader, before: int | None) -> int | None:
        # Twice: what is deleted or created meanwhile explains a difference from one of them.
        if before is None or not reader.by_key:
            return None
        if before <= self._records:
            return before
        after = await reader.count()
        return None if after is None else min(before, after)

    def _tell(self, observe: Callable[[ExportProgress], None], reader: Reader) -> None:
        total = None if reader.total is None else reader.total + self._resumed_at
        progress = ExportProgress(
            records=self._records,
            total=total,
            requests=reader.requests,
            seconds=self._clock() - self._began,
            resumed_at=self._resumed_at,
        )
        try:
            observe(progress)
        except Exception:
            logger.exception("an observer of an export failed")


def _format_name(name: str | None, output: Path | BinaryIO) -> tuple[str, str]:
    """Format and compression, as given or as the ending says."""
    suffixes = [one.lower() for one in output.suffixes] if isinstance(output, Path) else []
    compression = COMPRESSIONS.get(suffixes.pop(), "") if suffixes[-1:] in _SQUEEZED else ""
    if name is None and not isinstance(output, Path):
        name = "jsonl"
    elif name is None:
        name = _ENDINGS.get(suffixes[-1] if suffixes else "")
        if name is None:
            known = ", ".join(FORMATS)
            raise UsageError(f"the ending of {output.name} tells no format: give one of {known}")
    if name not in FORMATS:
        raise UsageError(f'format must be one of {", ".join(FORMATS)}, not "{name}"')
    if name == "parquet" and not isinstance(output, Path):
        raise UsageError("Parquet cannot be written to a stream: give the name of a file")
    if name == "parquet" and compression:
        raise UsageError("Parquet is compressed by itself: leave the second ending out")
    return name, compression


def _clauses(where: Any, resource: type[BaseResource[Any]]) -> list[Clause]:
    if where is None:
        return []
    given = [where] if isinstance(where, (str, Clause)) else list(where)
    return [
        one
        if isinstance(one, Clause)
        else parse_where([one], resource.model, resource.attribute)[0]
        for one in given
    ]


def _since(since: Any, resource: type[BaseResource[Any]]) -> list[Clause]:
    if since is None:
        return []
    if "mod_datetime" not in {one.name for one in columns_of(resource.model)}:
        raise UsageError(
            f"{resource.attribute} have no mod_datetime, so nothing tells what changed since"
        )
    return [Field("mod_datetime") >= (moment_of(since) if isinstance(since, str) else since)]


__all__ = ("FORMATS", "ExportJob", "ExportProgress", "ExportSummary", "resource_class")
