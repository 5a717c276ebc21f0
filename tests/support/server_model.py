"""A model of the server behind the seam of the transport: what it holds is the witness.

`ServerModel` is a Transport. It keeps records in memory, runs ``_bulk`` with references, logs every
effect with the ``mark`` of the operation that caused it, and can play what the vendor's documents
leave open (`Ways`) and every fault a network has (`Trouble`).
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote

from jsonpath_ng.ext.parser import parse as parse_path
from support.fake_loop import elapsed

from chargeover_async._wire.envelope import Answer, NoAnswer
from chargeover_async._wire.request import Request
from chargeover_async.limits import Permit
from chargeover_async.retry import Fault

API = "/api/v3"

Kind = Literal[
    "ok",
    "never_left",
    "429",
    "500_before",
    "500_after",
    "502_before",
    "502_after",
    "proxy_302_after",
    "proxy_404_before",
    "proxy_404_after",
    "proxy_413_before",
    "proxy_429_before",
    "cut",
    "lost_before",
    "lost_after",
    "short",
    "many",
    "no_list",
    "400",
    "413",
    "401",
    "item_400",
    "item_429",
    "item_500",
    "item_500_after",
    "item_code_0",
    "item_garbage",
    "raise",
]
"""``_before`` and ``_after`` say whether the work was done when the fault came."""


def _page(kind: str) -> Answer | None:
    """What somebody before the server answers in its place, in words of its own."""
    status = kind.removeprefix("proxy_").partition("_")[0]
    if kind.startswith(("proxy_", "502_")):
        return Answer(int(status), {}, b"<html>Bad gateway</html>")
    return None


@dataclass(frozen=True)
class Trouble:
    """What befalls one HTTP request; ``item`` says which entry of a batch it hits."""

    kind: Kind = "ok"
    item: int = 0
    delay: float = 0.0


@dataclass(frozen=True)
class Ways:
    """How the server behaves where no source says so."""

    later_items: Literal["run", "skip", "truncate", "copy"] = "run"  # copy: of the failed one
    deletes: bool = True
    queries: bool = True
    actions: bool = True
    bad_reference: Literal["refuse", "ignore"] = "refuse"
    nested: bool = False
    any_key: bool = True


@dataclass(frozen=True)
class Effect:
    """Something that was done: by which operation, to which record, with which payload."""

    mark: Any
    verb: str
    object: str
    id: int
    payload: Any
    at: float


@dataclass
class Sent:
    """One HTTP request as the server saw it."""

    at: float
    request: Request
    marks: list[Any] = field(default_factory=list)

    @property
    def items(self) -> list[dict[str, Any]]:
        """The items of a batch, or the one of a plain request."""
        if self.request.path == "/_bulk":
            return json.loads(self.request.body or b"")  # type: ignore[no-any-return]
        payload = None if self.request.body is None else json.loads(self.request.body)
        return [
            {
                "request_method": self.request.method,
                "uri": API + self.request.target,
                "payload": payload,
            }
        ]

    @property
    def size(self) -> int:
        return len(self.items)


Plan = Callable[[Sent], Trouble]


class ServerModel:
    """See the module. ``plan`` chooses the trouble of each request; ``delay`` is one way's time."""

    def __init__(
        self,
        ways: Ways | None = None,
        plan: Plan | Iterable[Trouble] | None = None,
        *,
        delay: float = 0.1,
    ) -> None:
        self.ways = ways or Ways()
        if plan is None:
            self._plan: Plan = lambda _: Trouble()
        elif callable(plan):
            self._plan = plan
        else:
            queue = iter(plan)
            self._plan = lambda _: next(queue, Trouble())
        self.delay = delay
        self.records: dict[tuple[str, int], dict[str, Any]] = {}
        self.keys: dict[tuple[str, str], int] = {}
        self.effects: list[Effect] = []
        self.sent: list[Sent] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.closed = False
        self.doubled: list[Any] = []  # marks that were in flight twice at a time
        self.watch: Callable[[Sent], None] | None = None
        self._next = 1
        self._flying: Counter[Any] = Counter()

    # -- the transport -------------------------------------------------------------------------

    async def send(self, request: Request, permit: Permit) -> Answer | NoAnswer:
        sent = Sent(elapsed(), request)
        items = sent.items
        trouble = self._plan(sent)
        if trouble.kind == "never_left":
            await asyncio.sleep(self.delay)
            return NoAnswer(Fault.NEVER_LEFT, "refused")
        if trouble.kind == "raise":
            raise RuntimeError("a fault of the transport")
        permit.sent()
        sent.marks = [self._mark(item) for item in items]
        self.sent.append(sent)
        if self.watch is not None:
            self.watch(sent)
        self._flying.update(sent.marks)
        self.doubled += [mark for mark in sent.marks if mark is not None and self._flying[mark] > 1]
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.delay + trouble.delay)
            answer = self._answer(request, items, trouble)
            await asyncio.sleep(self.delay)
            return answer
        finally:
            self.in_flight -= 1
            self._flying.subtract(sent.marks)

    async def aclose(self) -> None:
        self.closed = True

    # -- questions of tests --------------------------------------------------------------------

    def effects_of(self, mark: Any) -> list[Effect]:
        return [effect for effect in self.effects if effect.mark == mark]

    def by_key(self, name: str, key: str) -> dict[str, Any] | None:
        identity = self.keys.get((name, key))
        return None if identity is None else self.records[name, identity]

    @property
    def sizes(self) -> list[int]:
        return [sent.size for sent in self.sent]

    def seed(self, name: str, /, **fields: Any) -> int:
        """A record that was there before; no effect of anybody's."""
        identity, self._next = self._next, self._next + 1
        self.records[name, identity] = {f"{name}_id": identity, "external_key": None, **fields}
        if fields.get("external_key") is not None:
            self.keys[name, fields["external_key"]] = identity
        return identity

    # -- answering -----------------------------------------------------------------------------

    def _answer(
        self, request: Request, items: list[dict[str, Any]], trouble: Trouble
    ) -> Answer | NoAnswer:
        kind = trouble.kind
        if kind == "429":
            return self._envelope(429, "Rate limit exceeded", False)
        if kind in {"400", "413", "401"}:
            return self._envelope(int(kind), "the whole is refused", False)
        if kind == "500_before":
            return self._envelope(500, "It broke.", False)
        page = _page(kind)
        if page is not None and kind.endswith("before"):
            return page
        if kind == "lost_before":
            return NoAnswer(Fault.LOST, "reset")
        if request.path == "/_bulk":
            answer = self._batch(items, trouble)
        else:
            answer = self._single(items[0], trouble)
        if kind == "500_after":
            return self._envelope(500, "It broke.", False)
        if page is not None:
            return page
        if kind == "lost_after":
            return NoAnswer(Fault.LOST, "timeout")
        if kind == "cut":
            return Answer(answer.status, {}, answer.body[: len(answer.body) // 2])
        return answer

    def _envelope(self, code: int, message: str, response: Any) -> Answer:
        return Answer(code, {}, json.dumps(self._entry(code, message, response)).encode())

    @staticmethod
    def _entry(code: int, message: str, response: Any) -> dict[str, Any]:
        status = "OK" if 200 <= code < 300 else "Error"
        return {"code": code, "status": status, "message": message, "response": response}

    def _single(self, item: dict[str, Any], trouble: Trouble) -> Answer:
        entry = self._troubled(item, {}, trouble, 0, inside=False)
        if not isinstance(entry, dict):
            return Answer(200, {}, json.dumps(entry).encode())
        return Answer(entry["code"] or 200, {}, json.dumps(entry).encode())

    def _batch(self, items: list[dict[str, Any]], trouble: Trouble) -> Answer:
        if not 1 <= len(items) <= 25:
            return self._envelope(400, "Too many requests in a batch.", False)
        entries: list[Any] = []
        named: dict[str, Any] = {}
        failed = False
        for index, item in enumerate(items):
            if failed and self.ways.later_items == "truncate":
                break
            if failed and self.ways.later_items == "skip":
                entry: Any = self._entry(400, "Not run: an earlier item failed.", False)
            elif failed and self.ways.later_items == "copy":
                entry = entries[-1]
            else:
                entry = self._troubled(item, named, trouble, index, inside=True)
            if not isinstance(entry, dict) or entry["status"] != "OK":
                failed = True
            entries.append(entry)
            if item.get("id") is not None:
                named[item["id"]] = entry
        if trouble.kind == "short":
            entries = entries[: trouble.item % len(entries)]
        elif trouble.kind == "many":
            # More than were sent, also when the answer would have ended early.
            more = [self._entry(200, "", True)] * (len(items) + 1 - len(entries))
            entries[trouble.item % len(entries) : 0] = more
        elif trouble.kind == "no_list":
            return self._envelope(200, "", True)
        return self._envelope(200, "", {"_bulk": entries})

    def _troubled(
        self,
        item: dict[str, Any],
        named: dict[str, Any],
        trouble: Trouble,
        index: int,
        *,
        inside: bool,
    ) -> Any:
        kind = trouble.kind
        if not kind.startswith("item_") or trouble.item != index:
            return self._run(item, named, inside=inside)
        if kind == "item_400":
            return self._entry(400, "Missing or invalid parameter.", False)
        if kind == "item_429":
            return self._entry(429, "Rate limit exceeded", False)
        if kind == "item_500":
            return self._entry(500, "It broke.", False)
        entry = self._run(item, named, inside=inside)
        if kind == "item_500_after":
            return self._entry(500, "It broke.", False)
        if kind == "item_code_0":
            return {**entry, "code": 0, "status": "Error", "message": None}
        return "not an entry"

    # -- the API -------------------------------------------------------------------------------

    @staticmethod
    def _mark(item: dict[str, Any]) -> Any:
        payload = item.get("payload")
        return payload.get("mark") if isinstance(payload, dict) else None

    def _run(self, item: dict[str, Any], named: dict[str, Any], *, inside: bool) -> dict[str, Any]:
        method = item["request_method"]
        path, _, query = item["uri"].removeprefix(API).partition("?")
        pairs = dict(parse_qsl(query))
        action = pairs.pop("action", None)
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if len(parts) > 2 and parts[2] == "_action":
            action = parts[3]
        if inside:
            if method == "DELETE" and not self.ways.deletes:
                return self._entry(400, "The command requested is not supported.", False)
            if action and not self.ways.actions:
                return self._entry(400, "The command requested is not supported.", False)
            if pairs and not self.ways.queries:
                return self._entry(400, "The command requested is not supported.", False)
        payload = item.get("payload")
        if isinstance(payload, dict):
            problem, payload = self._resolve(payload, named if inside else {})
            if problem:
                return self._entry(400, problem, False)
            for name, value in payload.items():
                # As parent_customer_id names a customer.
                kind = name.removesuffix("_id").rpartition("_")[2]
                if name.endswith("_id") and (kind, value) not in self.records:
                    return self._entry(400, f"There is no {name} {value}.", False)
        name = parts[0]
        if method == "POST" and len(parts) == 1:
            return self._create(name, payload)
        if method == "GET" and len(parts) == 1:
            found = [record for (kind, _), record in self.records.items() if kind == name]
            return self._entry(200, "", found)
        identity = self._find(name, parts[1])
        if identity is None:
            return self._entry(404, "This object does not exist.", None)
        record = self.records[name, identity]
        if method == "GET":
            return self._entry(200, "", record)
        self._effect(payload, action or method, name, identity)
        if method == "DELETE":
            del self.records[name, identity]
            if record.get("external_key") is not None:
                del self.keys[name, record["external_key"]]
            return self._entry(200, "", True)
        if method == "PUT":
            record.update(payload or {})
            return self._entry(202, "", {"id": identity})
        return self._entry(200, "", True)

    def _create(self, name: str, payload: Any) -> dict[str, Any]:
        if not payload:
            return self._entry(400, "A required parameter was missing: No data.", False)
        if name == "invoice" and "customer_id" not in payload:
            return self._entry(400, "A required parameter was missing: customer_id.", False)
        key = payload.get("external_key")
        if key is not None and (name, key) in self.keys:
            text = f'A {name} already exists with the external_key value "{key}"'
            return self._entry(400, text, False)
        identity = self.seed(name, **payload)
        self._effect(payload, "create", name, identity)
        return self._entry(201, "", {"id": identity, "made": {"of": name, "both": [1, 2]}})

    def _find(self, name: str, target: str) -> int | None:
        if target.startswith("external_key:"):
            return self.keys.get((name, target.removeprefix("external_key:")))
        if target.isdigit() and (name, int(target)) in self.records:
            return int(target)
        return None

    def _effect(self, payload: Any, verb: str, name: str, identity: int) -> None:
        mark = payload.get("mark") if isinstance(payload, dict) else None
        self.effects.append(Effect(mark, verb, name, identity, payload, elapsed()))

    def _resolve(self, node: dict[str, Any], named: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        out: dict[str, Any] = {}
        for name, value in node.items():
            if name.endswith("_jsonpath") and (self.ways.any_key or name == "customer_jsonpath"):
                found = self._find_path(str(value), named)
                if found is None and self.ways.bad_reference == "refuse":
                    return f"There is nothing at {value}.", out
                if found is not None:
                    out[name.removesuffix("_jsonpath") + "_id"] = found
            elif self.ways.nested and isinstance(value, dict):
                problem, out[name] = self._resolve(value, named)
                if problem:
                    return problem, out
            else:
                out[name] = value
        return "", out

    @staticmethod
    def _find_path(text: str, named: dict[str, Any]) -> Any:
        name, _, path = text.partition(":")
        if not isinstance(named.get(name), dict):
            return None
        entry = named[name]
        if path == "$.response.id":
            response = entry.get("response")
            return response.get("id") if isinstance(response, dict) else None
        found = parse_path(path).find(entry)
        return found[0].value if len(found) == 1 else None


__all__ = ("Effect", "Sent", "ServerModel", "Trouble", "Ways")
