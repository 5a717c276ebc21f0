"""A server that lists records as the API does, or deceives: shorter pages, order or offset ignored.

It stands behind the seam of the transport; what it holds is the witness.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

from chargeover_async import ChargeOver
from chargeover_async._wire.envelope import Answer
from chargeover_async._wire.request import Request
from chargeover_async.limits import NoLimit, Permit
from chargeover_async.retry import RetryPolicy

URL = "https://example.chargeover.com/api/v3"
API = "/api/v3"
Rows = list[dict[str, Any]]
Cut = Callable[[Rows, bool], Rows]
"""What is left of a page, the second argument being whether it is inside of ``_bulk``."""

_CLAUSE = re.compile(r"(\w+):(GTE|GT|LTE|IS|EQUALS):([^,]*)")


def whole(rows: Rows, in_bulk: bool) -> Rows:
    return rows


class ListServer:
    """``ignores`` names what it does not heed: where, order, limit, offset, count."""

    def __init__(
        self,
        ids: Iterable[int],
        *,
        cut: Cut = whole,
        ignores: Iterable[str] = (),
        primary: str = "customer_id",
        most: int = 500,
    ) -> None:
        self.rows = {number: {primary: number, "company": f"c {number}"} for number in ids}
        self.cut = cut
        self.ignores = {*ignores}
        self.primary = primary
        self.most = most
        self.requests: list[str] = []

    def client(self) -> ChargeOver:
        return ChargeOver(
            URL,
            "user",
            "secret",
            transport=self,
            limiter=NoLimit(),
            retry=RetryPolicy(attempts=2, base_s=0, cap_s=0),
        )

    async def send(self, request: Request, permit: Permit) -> Answer:
        permit.sent()
        self.requests.append(request.target)
        if request.path != "/_bulk":
            return self._envelope(self._answer(request.target, in_bulk=False))
        uris = [item["uri"].removeprefix(API) for item in json.loads(request.body or b"")]
        entries = [self._entry(self._answer(uri, in_bulk=True)) for uri in uris]
        return self._envelope({"_bulk": entries})

    async def aclose(self) -> None:
        pass

    def _answer(self, target: str, *, in_bulk: bool) -> Any:
        path, _, query = target.partition("?")
        asked = {name: value for name, value in parse_qsl(query) if name not in self.ignores}
        rows = [row for row in self.rows.values() if self._fits(row, asked.get("where", ""))]
        if path.endswith("_count"):
            return len(rows)
        order = asked.get("order", f"{self.primary}:ASC")
        name, _, direction = order.partition(":")
        rows.sort(key=lambda row: row[name], reverse=direction == "DESC")
        offset, limit = int(asked.get("offset", 0)), int(asked.get("limit", self.most))
        return self.cut(rows[offset : offset + min(limit, self.most)], in_bulk)

    def _fits(self, row: dict[str, Any], where: str) -> bool:
        for name, operator, value in _CLAUSE.findall(where):
            held, wanted = row[name], int(value)
            fits = {"GT": held > wanted, "GTE": held >= wanted, "LTE": held <= wanted}
            if not fits.get(operator, held == wanted):
                return False
        return True

    def _envelope(self, response: Any) -> Answer:
        return Answer(200, {}, json.dumps(self._entry(response)).encode())

    @staticmethod
    def _entry(response: Any) -> dict[str, Any]:
        return {"code": 200, "status": "OK", "message": "", "response": response}


__all__ = ("ListServer", "Rows", "whole")
