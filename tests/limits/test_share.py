"""A client that shares its quota: how it is named, who closes it, and permits that lapse."""

from __future__ import annotations

import asyncio

import pytest

from chargeover_async import ChargeOver, LocalLimiter, NoLimit, QuotaSettings, RetryPolicy
from chargeover_async.cli.account import opener
from chargeover_async.errors import NotSent, UsageError
from chargeover_async.limits.file import FileLimiter
from chargeover_async.limits.shared import SharedLimiter
from chargeover_async.sandbox import Sandbox

URL = "https://acme.chargeover.com/api/v3"
QUICK = QuotaSettings(20, 0.5, guard_s=0.05)


async def test_clients_that_name_the_same_file_share_the_quota(tmp_path):
    """Their figures are of one window; each closes its own end of it."""
    path = tmp_path / "acme.quota"
    async with Sandbox() as sandbox:
        login = (sandbox.url, sandbox.username, sandbox.password)
        async with (
            ChargeOver(*login, quota_share=path, quota=QUICK) as one,
            ChargeOver(*login, quota_share=str(path), quota=QUICK) as other,
        ):
            await one.customers.create(company="a")
            await other.customers.create(company="b")
            assert isinstance(one.limiter, FileLimiter)
            assert one.limiter.settings == QUICK
            assert other.limiter.stats.in_window >= 2
            limiters = [one.limiter, other.limiter]
    for limiter in limiters:
        with pytest.raises(NotSent):
            await limiter.acquire(None)  # type: ignore[arg-type]


async def test_redis_tells_accounts_apart_by_the_urls_host():
    """So two accounts may share one Redis; nothing is connected before the first request."""
    pytest.importorskip("redis")
    async with ChargeOver(URL, "u", "p", quota_share="redis://127.0.0.1:1/0") as co:
        assert isinstance(co.limiter, SharedLimiter)
        assert "chargeover:{acme.chargeover.com}:quota" in repr(co.limiter)


async def test_a_limiter_of_ones_own_takes_neither_quota_nor_share(tmp_path):
    """It has its settings, and knows whom it shares with."""
    for options in ({"quota": QuotaSettings()}, {"quota_share": tmp_path / "a"}):
        with pytest.raises(UsageError, match="pass quota and quota_share, or limiter, not both"):
            ChargeOver(URL, "u", "p", limiter=NoLimit(), **options)


async def test_the_environment_names_it_for_programs_and_commands(tmp_path, monkeypatch):
    """For `from_env` and the command line, unless they say something else."""
    for name, value in (("URL", URL), ("USERNAME", "u"), ("PASSWORD", "p")):
        monkeypatch.setenv(f"CHARGEOVER_{name}", value)
    assert isinstance(ChargeOver.from_env().limiter, LocalLimiter)
    monkeypatch.setenv("CHARGEOVER_QUOTA_SHARE", str(tmp_path / "acme.quota"))
    for client in (ChargeOver.from_env(), opener(None)(), opener(URL)()):
        assert isinstance(client.limiter, FileLimiter)
        await client.aclose()
    other = ChargeOver.from_env(quota_share=tmp_path / "other")
    assert "other" in repr(other.limiter)
    free = NoLimit()
    for client in (ChargeOver.from_env(limiter=free), opener(URL)(limiter=free)):
        assert client.limiter is free


class LapsingLimiter(NoLimit):
    """Its first permits are no good any more when the headers are about to leave."""

    def __init__(self, lapses: int) -> None:
        super().__init__()
        self.lapses = lapses
        self.unused = 0

    async def acquire(self, priority):
        permit = await super().acquire(priority)
        return Lapsing(self, permit)


class Lapsing:
    def __init__(self, limiter, permit) -> None:
        self.limiter, self.permit = limiter, permit
        self.done = permit.done

    def sent(self) -> None:
        if self.limiter.lapses:
            self.limiter.lapses -= 1
            raise NotSent("its permit lapsed before it could be sent")
        self.permit.sent()

    def unused(self) -> None:
        self.limiter.unused += 1
        self.permit.unused()


@pytest.mark.parametrize("bulk", [False, True])
async def test_a_permit_that_lapses_stops_the_request_before_its_first_byte(bulk):
    """The server sees one request, the permits cost nothing, and a create is done once."""
    limiter = LapsingLimiter(2)
    policy = RetryPolicy(base_s=0.0, cap_s=0.0)
    async with (
        Sandbox() as sandbox,
        ChargeOver(
            sandbox.url, sandbox.username, sandbox.password, limiter=limiter, retry=policy
        ) as co,
    ):
        if bulk:
            async with co.bulk() as scope:
                handles = [scope.customers.create(company=f"c{n}") for n in range(3)]
            await asyncio.gather(*handles)
        else:
            await co.customers.create(company="c")
        assert len(sandbox.log) == co.stats.requests == 1
        assert await co.customers.count() == (3 if bulk else 1)
    assert limiter.unused == 2


async def test_the_learnt_limit_shows_in_the_clients_stats():
    """What the account allows, and what a 429 has left of it; 0 when there is no quota."""
    async with Sandbox() as sandbox:
        login = (sandbox.url, sandbox.username, sandbox.password)
        quota = QuotaSettings(100, 0.5, guard_s=0.05, pause_s=0.01)
        async with ChargeOver(*login, quota=quota) as co:
            assert co.stats.limit == 100
            sandbox.faults.next("429")
            await co.customers.count()
            assert co.stats.rate_limited == 1
            assert 80 <= co.stats.limit < 100
        async with ChargeOver(*login, limiter=NoLimit()) as co:
            assert co.stats.limit == 0
