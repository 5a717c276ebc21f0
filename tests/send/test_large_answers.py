"""What an answer unpacks to is bounded: a few bytes on the wire may be gigabytes."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from support.raw_server import RawServer, http

from chargeover_async import (
    ChargeOver,
    NoLimit,
    OutcomeUnknown,
    RetryPolicy,
    TransportError,
    UsageError,
)

ONCE = RetryPolicy(attempts=1)
MB = 2**20


def envelope(size: int) -> bytes:
    return b'{"code":200,"status":"OK","message":"","response":"%s"}' % (b"x" * size)


def bomb(size: int) -> bytes:
    """``size`` bytes of JSON in a thousandth of them."""
    return http(200, gzip.compress(envelope(size)), "Content-Encoding: gzip")


def client(server: RawServer, mb: float) -> ChargeOver:
    return ChargeOver(server.url, "u", "p", limiter=NoLimit(), retry=ONCE, max_answer_mb=mb)


@pytest.mark.parametrize(
    "answer",
    [
        bomb(4 * MB),
        http(200, envelope(4 * MB)),
        http(200, zlib.compress(envelope(4 * MB)), "Content-Encoding: deflate"),
    ],
    ids=["gzip", "plain", "deflate"],
)
async def test_an_answer_that_is_too_large_is_none(answer: bytes):
    """Whatever its packing; the message names the setting."""
    async with RawServer(answer) as server, client(server, 2) as co:
        with pytest.raises(TransportError, match=r"larger than 2 MB \(max_answer_mb allows more\)"):
            await co.request("GET", "/x")
        assert (await co.request("GET", "/x")) is True  # a new connection


async def test_of_a_write_it_is_not_known_what_came_of_it():
    """It was done, as a rule, and is not sent again."""
    async with RawServer(bomb(4 * MB)) as server, client(server, 2) as co:
        with pytest.raises(OutcomeUnknown, match="max_answer_mb"):
            await co.request("POST", "/x", json={})
        assert len(server.requests) == 1


@pytest.mark.parametrize("make", [bomb, lambda size: http(200, envelope(size))])
async def test_an_answer_within_the_bound_is_read(make: Callable[[int], bytes]):
    """To its last byte."""
    async with RawServer(make(3 * MB)) as server, client(server, 4) as co:
        assert len(await co.request("GET", "/x")) == 3 * MB


async def test_what_is_not_taken_is_not_held():
    """100 MB that unpack from 100 kB cost no more than the bound and a piece."""
    answer = bomb(100 * MB)
    async with RawServer(answer) as server, client(server, 1) as co:
        tracemalloc.start()
        try:
            with pytest.raises(TransportError, match="larger than 1 MB"):
                await co.request("GET", "/x")
            assert tracemalloc.get_traced_memory()[1] < 12 * MB
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("mb", [0, -1, float("nan"), "64", None])
def test_a_bound_that_is_none_is_refused(mb: float):
    """Before anything is sent."""
    with pytest.raises(UsageError, match="max_answer_mb must be"):
        ChargeOver("https://x", "u", "p", max_answer_mb=mb)
