"""From a method and a URI to an answer, without any HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from chargeover_async.sandbox.protocol.answers import Answer, Refused, unsupported
from chargeover_async.sandbox.protocol.caller import Caller, caller_of
from chargeover_async.sandbox.protocol.where import parse_query
from chargeover_async.sandbox.records import crud, find
from chargeover_async.sandbox.store.row import Row
from chargeover_async.sandbox.store.store import Store
from chargeover_async.sandbox.store.tables import Spec

from .variant import Variant

PREFIX = "/api/v3"
_COMMANDS = {"GET": "list", "POST": "create", "PUT": "modify", "DELETE": "delete"}


class Api:
    """The API of one account: a store, and a variant of the behaviours that no source shows."""

    def __init__(self, store: Store, variant: Variant | None = None) -> None:
        self.store = store
        self.variant = variant or Variant()
        store.iso_datetimes = self.variant.iso_datetimes
        store.deleted_keys = self.variant.deleted_keys
        store.cancelled_keys = self.variant.cancelled_keys

    def answer(
        self, method: str, target: str, payload: Any, *, outer: Caller | None = None
    ) -> Answer:
        """Do what a request says; ``target`` is its path and query, as they were sent.

        ``outer`` is the caller of the batch that the request stands in. What it changed is in the
        file, if the store has one, when the answer is there: all or, if StorageError is raised,
        nothing. A GET changes nothing.
        """
        path, _, raw_query = target.partition("?")
        query = parse_query(raw_query)
        self.store.caller = caller_of(query, outer)
        if method == "GET":
            self.store.freshen()
            return self._judge(method, path, query, payload)
        with self.store.transaction():
            return self._judge(method, path, query, payload)

    def _judge(self, method: str, path: str, query: dict[str, str], payload: Any) -> Answer:
        try:
            return self._dispatch(method, path, query, payload)
        except Refused as refused:
            return refused.answer

    def _dispatch(self, method: str, path: str, query: dict[str, str], payload: Any) -> Answer:
        name, rest = split_path(path)
        spec = self.store.specs.get(name)
        if spec is None or spec.internal:
            return self._special(method, name, rest)
        if method == "GET" and not spec.reads:
            raise unsupported("get" if rest else "list", spec.name, "/".join(rest))
        if not rest:
            return self._collection(method, spec, query, payload)
        if rest == ["_count"] and method == "GET":
            return find.count(self.store, spec, query)
        if rest[0] == "_action" and len(rest) == 2 and method == "POST":
            return crud.act_on_collection(self.store, spec, rest[1], payload)
        if rest[0].startswith("_"):
            raise unsupported(rest[0].removeprefix("_"), spec.name)
        row = self._row(spec, rest[0])
        if len(rest) == 1:
            return self._record(method, spec, row, query, payload)
        if rest[1:] == ["_revision"] and method == "GET":
            return crud.revisions(self.store, spec, row, query)
        if len(rest) == 3 and rest[1] == "_action" and method == "POST":
            return crud.act(self.store, spec, row, rest[2], payload)
        raise unsupported("/".join(rest[1:]), spec.name, rest[0])

    def _special(self, method: str, name: str, rest: list[str]) -> Answer:
        if name == "teapot" and method == "GET" and not rest:
            # UNVERIFIED: the vendor's text uses it to try credentials and shows no answer.
            return Answer(200, "", True)
        command = "get" if method == "GET" and rest else _COMMANDS.get(method, method.lower())
        record = rest[0] if rest else ""
        # Test data of a third-party connector: list(customers, )
        raise Refused(f"The object type requested is not supported: {command}({name}, {record})")

    def _collection(self, method: str, spec: Spec, query: dict[str, str], payload: Any) -> Answer:
        if method == "GET":
            return find.listing(self.store, spec, query)
        if method == "POST" and "action" in query:
            return crud.act_on_collection(self.store, spec, query["action"], payload)
        if method == "POST" and spec.post is not None:
            return crud.as_answer(spec.post(self.store, payload))
        if method == "POST":
            return crud.create(self.store, spec, payload)
        raise unsupported(_COMMANDS.get(method, method.lower()), spec.name)

    def _record(
        self, method: str, spec: Spec, row: Row, query: dict[str, str], payload: Any
    ) -> Answer:
        if method == "GET":
            return crud.get(self.store, spec, row)
        if method == "PUT":
            return crud.update(self.store, spec, row, payload)
        if method == "DELETE":
            return crud.delete(self.store, spec, row)
        if method == "POST" and "action" in query:
            return crud.act(self.store, spec, row, query["action"], payload)
        raise unsupported(_COMMANDS.get(method, method.lower()), spec.name, row.id)

    def _row(self, spec: Spec, segment: str) -> Row:
        """The record a path names: by number, ``external_key:KEY`` or ``token:TOKEN``."""
        table = self.store.table(spec.name)
        row: Row | None = None
        if segment.isascii() and segment.isdigit() and len(segment) < 20:
            row = table.rows.get(int(segment))
        elif segment.startswith("external_key:"):
            row = table.by_key(segment.removeprefix("external_key:"))
        elif segment.startswith("token:"):
            row = table.by_token(segment.removeprefix("token:"))
        if row is None:
            raise spec.no_such
        return row


def split_path(path: str) -> tuple[str, list[str]]:
    """The object and the segments behind it, percent-decoded one by one.

    A slash at the end is ignored (the vendor's C# client sends one); ``/API/v3`` is taken too (an
    example in the vendor's text). A path outside the API is an unsupported object.
    """
    if path[: len(PREFIX)].lower() != PREFIX or path[len(PREFIX) :][:1] not in ("", "/"):
        return path.strip("/"), []
    segments = path[len(PREFIX) :].split("/")[1:]
    if "%" in path:
        segments = [unquote(segment) for segment in segments]
    if segments and not segments[-1]:
        segments.pop()
    if not segments:
        return "", []
    return segments[0], segments[1:]
