"""The limiter on a real Redis: what it costs, where its key is, what it says when refused."""

from __future__ import annotations

import asyncio
import time

import pytest
from support.redis_server import RedisServer, needs_redis
from support.waiting import until

from chargeover_async.errors import NotSent, UsageError
from chargeover_async.limits import Priority, QuotaSettings
from chargeover_async.limits.redis import RedisLimiter

pytest.importorskip("redis", reason="extra redis is not installed")


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture
def server(shared_server):
    shared_server.command("FLUSHALL")
    return shared_server


async def take(limiter, priority=Priority.BULK):
    """Send one request; when its permit has lapsed, on a busy machine, with the next one."""
    while True:
        permit = await limiter.acquire(priority)
        try:
            permit.sent()
        except NotSent:
            permit.unused()
            continue
        permit.done()
        return


@needs_redis
@pytest.mark.parametrize("processes", [1, 10])
async def test_a_thousand_waiters_send_fewer_than_twenty_commands_a_second(server, processes):
    """Counted by the server, for 2.5 s or more: in one limiter, or in ten with a hundred each."""
    limiters = [RedisLimiter(server.url, "acme", trust_empty=True) for _ in range(processes)]
    for limiter in limiters:
        await take(limiter)
    waiters = [asyncio.ensure_future(take(limiters[number % processes])) for number in range(1000)]
    await asyncio.sleep(0.5)
    began = time.monotonic()
    before = await asyncio.to_thread(server.commands_processed)
    sent = 0
    while sent < 2:
        await asyncio.sleep(2.5)
        sent = await asyncio.to_thread(server.commands_processed) - before
    assert sent < 20 * (time.monotonic() - began)
    assert sum(not waiter.done() for waiter in waiters) > 500
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    for limiter in limiters:
        await limiter.aclose()


@needs_redis
async def test_one_key_with_one_hash_tag_and_no_secret(server):
    """Everything of an account lies in one slot of a cluster; accounts do not meet."""
    url = server.url.replace("redis://", "redis://:secret-word@")
    server.command("CONFIG", "SET", "requirepass", "secret-word")
    try:
        async with RedisLimiter(url, "acme", trust_empty=True) as limiter:
            async with RedisLimiter(url, "other", trust_empty=True) as other:
                await take(limiter)
                await take(other)
            assert "secret" not in repr(limiter)
            client = limiter._books._own
            keys = sorted([key async for key in client.scan_iter()])
            assert keys == [b"chargeover:{acme}:quota", b"chargeover:{other}:quota"]
            assert await client.ttl(keys[0]) == -1
            held = await client.hgetall(keys[0])
            assert b"secret" not in b"".join([*held, *held.values()])
    finally:
        server.command("AUTH", "secret-word")
        _unprotect(server)


def _unprotect(server):
    import redis

    with redis.Redis.from_url(server.url, password="secret-word") as client:
        client.config_set("requirepass", "")


@needs_redis
async def test_wrong_credentials_are_an_error_without_them(server):
    """No waiting for what will never work."""
    url = server.url.replace("redis://", "redis://nobody:secret-word@")
    limiter = RedisLimiter(url, "acme")
    with pytest.raises(UsageError, match="refuses the credentials") as caught:
        await limiter.acquire(Priority.DIRECT)
    assert "secret-word" not in str(caught.value)
    await limiter.aclose()


@needs_redis
async def test_a_key_of_somebody_else_is_an_error(server):
    """It is left alone."""
    server.command("SET", "chargeover:{acme}:quota", "mine")
    limiter = RedisLimiter(server.url, "acme")
    with pytest.raises(UsageError, match="WRONGTYPE"):
        await limiter.acquire(Priority.DIRECT)
    await limiter.aclose()
    assert server.command("GET", "chargeover:{acme}:quota") == b"mine"


@needs_redis
async def test_the_commands_named_in_the_docs_suffice(server):
    """A user that may do nothing else."""
    names = ("evalsha", "eval", "time", "info", "hgetall", "hset", "hdel", "del")
    allowed = [f"+{name}" for name in names]
    answer = server.command("ACL", "SETUSER", "quota", "on", ">word", "~chargeover:*", *allowed)
    assert answer == b"+OK\r\n"
    server.command("SCRIPT", "FLUSH")
    url = server.url.replace("redis://", "redis://quota:word@")
    async with RedisLimiter(url, "acme", QuotaSettings(3, 1.5), trust_empty=True) as limiter:
        for _ in range(3):
            await take(limiter)
    server.command("ACL", "SETUSER", "quota", "-info")
    async with RedisLimiter(url, "acme", QuotaSettings(3, 1.5), trust_empty=True) as limiter:
        # Another incarnation as far as we can tell: waited out, and then it works.
        await take(limiter)
    server.command("ACL", "SETUSER", "quota", "-hset")
    limiter = RedisLimiter(url, "acme", QuotaSettings(3, 1.5))
    with pytest.raises(UsageError, match=r"can't run this command|ACL failure"):
        await limiter.acquire(Priority.BULK)
    await limiter.aclose()


@needs_redis
async def test_it_waits_for_a_server_that_is_not_there_yet(tmp_path, caplog):
    """With a warning that names neither user nor password; it goes on when the server is there."""
    server = RedisServer(tmp_path)
    url = server.url.replace("redis://", "redis://me:secret-word@")
    async with RedisLimiter(url, "acme", QuotaSettings(10, 0.5), trust_empty=True) as limiter:
        waiter = asyncio.ensure_future(take(limiter))
        await until(lambda: limiter.is_away)
        assert not waiter.done()
        waiter.cancel()
    assert "is away" in caplog.text
    assert "secret-word" not in caplog.text


@needs_redis
async def test_a_cluster_keeps_it_in_one_slot(tmp_path):
    """With redis-py's cluster client, which stays the caller's to close."""
    from redis.asyncio.cluster import RedisCluster

    server = RedisServer(tmp_path, "--cluster-enabled", "yes").start()
    try:
        assert server.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383") == b"+OK\r\n"
        await until(lambda: b"cluster_state:ok" in server.command("CLUSTER", "INFO"))
        async with RedisCluster(host="127.0.0.1", port=server.port) as client:
            settings = QuotaSettings(10, 1.0, guard_s=0.05)
            async with RedisLimiter(client, "acme", settings, trust_empty=True) as limiter:
                await asyncio.gather(*(take(limiter) for _ in range(15)))
                assert limiter.stats.granted == 15
            assert await client.exists("chargeover:{acme}:quota")
    finally:
        server.stop()


async def test_the_extra_is_named_when_it_is_missing(monkeypatch):
    """Not an ImportError from somewhere inside."""
    import sys

    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(UsageError, match=r'pip install "chargeover-async\[redis\]"'):
        RedisLimiter("redis://localhost", "acme")


@pytest.mark.parametrize("account", ["", "a b", "a{b}", "x" * 201, None, "a\n"])
def test_an_account_that_cannot_be_right(account):
    """It becomes part of a key."""
    with pytest.raises(UsageError, match="account"):
        RedisLimiter("redis://localhost", account)


@pytest.mark.parametrize("url", ["http://me:secret@host", "redis://me:secret@host:port/0", ""])
def test_a_url_that_cannot_be_right_shows_no_secret(url):
    """Neither in the message nor in its causes."""
    with pytest.raises(UsageError, match="URL of Redis") as caught:
        RedisLimiter(url, "acme")
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None or "secret" not in str(caught.value.__cause__)
    assert caught.value.__suppress_context__


def test_a_client_that_blocks_is_refused():
    """At once, before it is asked for anything; and so is what is no client."""
    import redis

    blocking = redis.Redis.from_url("redis://127.0.0.1:1/0")
    with pytest.raises(UsageError, match=r"blocks the event loop.*redis\.asyncio"):
        RedisLimiter(blocking, "acme")
    for other in (None, 5, redis):
        with pytest.raises(UsageError, match=r"a URL of Redis or a client of redis\.asyncio"):
            RedisLimiter(other, "acme")


async def test_any_client_that_blocks_is_refused():
    """Whoever made it: what answers at once is not waited for, and whoever waits is told."""

    class Blocking:
        def evalsha(self, *_):
            return [b"0"] * 8

        eval = evalsha

    async with RedisLimiter(Blocking(), "acme") as limiter:
        with pytest.raises(UsageError, match="blocks the event loop"):
            await limiter.acquire(Priority.BULK)
