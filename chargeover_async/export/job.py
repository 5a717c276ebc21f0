"""An export: a whole object into one file, or into a stream."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import msgspec
from msgspec.structs import replace

from chargeover_async._wire.bulk import MAX_ITEMS
from chargeover_async.query import Where

from .fetch import MAX_BYTES_IN_FLIGHT
from .formats import Format
from .part import Part, as_text, behind_links, is_stream, open_stream
from .reader import Reader, can_page_by_key
from .wanted import Wanted, form_of

if TYPE_CHECKING:
    import datetime as dt

    from chargeover_async.client import ChargeOver

logger = logging.getLogger("chargeover_async.export")

SAVE_EVERY_S = 1.0


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
        return msgspec.json.encode(replace(self, output=as_text(self.output))).decode()


class ExportJob:
    """One object into one output.

    ``output`` is a path, whose file is replaced in one step once all is read, or an open binary
    file, which is written as pages come, as is a path of a pipe or a device. ``format`` is
    ``"jsonl"``, ``"csv"`` or ``"parquet"`` (extra ``parquet``); left out, it is that of the path's
    ending. A path that ends in ``.gz`` or ``.zst`` (extra ``zstd``) is compressed. ``where`` takes
    filters as text (`columns.parse_where`) or clauses (``F.total > 100``), ``since`` a date or
    datetime: what was changed then or later. ``fields`` picks columns. ``nested`` reads each record
    by itself, so that the parts are there which lists leave out.

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
        max_bytes_in_flight: int = MAX_BYTES_IN_FLIGHT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_stream = not isinstance(output, Path) or is_stream(output)
        self._wanted = Wanted(
            object_name,
            form=form_of(format, output, is_stream=self._is_stream),
            where=where,
            since=since,
            fields=fields,
            nested=nested,
        )
        self._output = output
        self._restart = restart
        self._pages_per_request = pages_per_request
        self._max_bytes = max_bytes_in_flight
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
        if self._is_stream or not isinstance(self._output, Path):
            return None
        output = behind_links(self._output)
        return output.with_name(f"{output.name}.part")

    @property
    def can_go_on(self) -> bool:
        """Whether the same job goes on where it was stopped, or begins anew."""
        return self.part is not None and can_page_by_key(self._wanted.resource)

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
        wanted = self._wanted
        resource = wanted.resource_of(co)
        made = wanted.make_format(resource._options.dates)
        part, stream = self._open_part(co), await self._open_stream()
        if part is not None and can_page_by_key(self._wanted.resource):
            self._after = part.state.after
            self._records = self._resumed_at = part.state.records
        try:
            self._reader = reader = Reader(
                resource,
                where=wanted.where or None,
                after=self._after,
                nested=wanted.nested,
                pages_per_request=self._pages_per_request,
                max_bytes_in_flight=self._max_bytes,
            )
            await self._write(reader, made, part, stream, observe)
            if reader.counted is not None:
                self._counted = reader.counted + self._resumed_at
            if part is not None:
                await finish(made, part)
        finally:
            if part is not None:
                part.close()
            if stream is not None and stream is not self._output:
                with contextlib.suppress(OSError):  # what it did not take was said before
                    stream.close()
        return self.summary()

    def summary(self) -> ExportSummary:
        """What was read so far."""
        reader = self._reader
        return ExportSummary(
            object=self._wanted.resource.object,
            records=self._records,
            requests=reader.requests if reader else 0,
            seconds=round(self._clock() - self._began, 3) if reader else 0.0,
            output=str(self._output) if isinstance(self._output, Path) else "",
            resumed_at=self._resumed_at,
            counted=self._counted,
            pages_in_bulk=reader.uses_bulk if reader else False,
        )

    # -- writing -----------------------------------------------------------------------------

    def _open_part(self, co: ChargeOver) -> Part | None:
        if self._is_stream or not isinstance(self._output, Path):
            return None
        # Where reading cannot begin in the middle, it begins anew.
        restart = self._restart or not can_page_by_key(self._wanted.resource)
        return Part(self._output, self._wanted.question(co), restart=restart)

    async def _open_stream(self) -> BinaryIO | None:
        if not isinstance(self._output, Path):
            return self._output
        return await open_stream(self._output) if self._is_stream else None

    async def _write(
        self,
        reader: Reader,
        made: Format,
        part: Part | None,
        stream: BinaryIO | None,
        observe: Callable[[ExportProgress], None] | None,
    ) -> None:
        """Write every page."""
        append = part.append if part is not None else partial(_write_now, cast("BinaryIO", stream))
        if part is None or part.size == 0:
            append(made.head())
        else:
            made.notes = dict(part.state.notes)
        saved = self._clock()
        try:
            async with aclosing(reader.pages()) as pages:
                async for page in pages:
                    append(made.encode(page))
                    self._records += len(page.ids)
                    self._after = page.ids[-1]
                    if part is not None and self._clock() - saved >= SAVE_EVERY_S:
                        await asyncio.to_thread(self._save, made, part)
                        saved = self._clock()
                    tell(observe, self._progress(reader))
        except BaseException:
            if part is not None:
                with contextlib.suppress(OSError):
                    self._save(made, part)
                # What did not get to the disk does not count.
                self._records, self._after = part.state.records, part.state.after
            raise

    def _save(self, made: Format, part: Part) -> None:
        if can_page_by_key(self._wanted.resource):
            part.save(self._after, self._records, made.notes)

    def _progress(self, reader: Reader) -> ExportProgress:
        return ExportProgress(
            records=self._records,
            total=None if reader.total is None else reader.total + self._resumed_at,
            requests=reader.requests,
            seconds=self._clock() - self._began,
            resumed_at=self._resumed_at,
        )


def _write_now(stream: BinaryIO, data: bytes) -> None:
    stream.write(data)
    stream.flush()  # what is counted has left


def tell(observe: Callable[[ExportProgress], None] | None, progress: ExportProgress) -> None:
    """Tell an observer, if there is one; its errors are logged and go no further."""
    if observe is None:
        return
    try:
        observe(progress)
    except Exception:
        logger.exception("an observer of an export failed")


async def finish(made: Format, part: Part) -> None:
    """Make the output of a complete part."""
    if made.is_final:
        part.finish()
        return
    part.flush()
    whole = part.output.with_name(f"{part.output.name}.tmp")
    os.close(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))  # for its owner only
    try:
        await asyncio.to_thread(made.rewrite, part.path, whole)
        part.finish_as(whole)
    except BaseException:
        whole.unlink(missing_ok=True)
        raise


__all__ = ("ExportJob", "ExportProgress", "ExportSummary", "finish", "tell")
