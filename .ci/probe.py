"""Does what an extra is for, with what is installed; any failure is an exception.

python .ci/probe.py EXTRA      ("bare" for none; run outside of the checkout)
"""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path

from chargeover_async import ChargeOver
from chargeover_async.limits import NoLimit
from chargeover_async.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent
Probe = Callable[[ChargeOver, Path], Awaitable[None]]


def command(*words: str, code: int = 0) -> str:
    """What a command prints; it must end with ``code``."""
    found = subprocess.run(  # noqa: S603
        [sys.executable, "-m", *words], capture_output=True, text=True, check=False
    )
    assert found.returncode == code, (words, found.returncode, found.stdout, found.stderr)
    return found.stdout + found.stderr


async def bare(co: ChargeOver, _: Path) -> None:
    """The client alone; the command says what it lacks."""
    async with co.bulk() as bulk:
        handle = bulk.customers.create(company="Birch")
    assert (await co.customers.get((await handle).id)).company == "Birch"
    if find_spec("click") is None:
        assert "chargeover-async[cli]" in command("chargeover_async", "--help", code=2)


async def cli(_: ChargeOver, folder: Path) -> None:
    """The example shop, into a sandbox."""
    plan = ROOT / "examples" / "shop" / "plan.toml"
    failures = ("--failures", str(folder / "failures.jsonl"))
    shown = await asyncio.to_thread(
        command, "chargeover_async", "import", str(plan), "--sandbox", *failures
    )
    assert "0 failed, 0 unknown" in shown


async def redis(_: ChargeOver, __: Path) -> None:
    """A limiter; it talks to nobody yet."""
    from chargeover_async.limits.redis import RedisLimiter

    await RedisLimiter("redis://127.0.0.1:1/0", "acme").aclose()


async def webhooks(_: ChargeOver, __: Path) -> None:
    """A payload that is no encrypted one is refused, by its contents."""
    from chargeover_async import WebhookError
    from chargeover_async.webhooks import Webhooks

    refused = ""
    try:
        Webhooks("x" * 32, encrypted=True).parse(b"QUJD" * 32, {})
    except WebhookError as error:
        refused = str(error)
    assert "decrypts to no event" in refused


async def testing(_: ChargeOver, folder: Path) -> None:
    """The example service's own tests."""
    for path in (ROOT / "examples" / "service").glob("*.py"):
        (folder / path.name).write_text(path.read_text("utf-8"), "utf-8")
    shown = await asyncio.to_thread(command, "pytest", "-q", "-p", "no:cacheprovider", str(folder))
    assert " passed" in shown


async def _export(co: ChargeOver, path: Path) -> None:
    from chargeover_async.export import ExportJob

    assert (await ExportJob("customer", path).run(co)).records == 1


async def parquet(co: ChargeOver, folder: Path) -> None:
    """An export."""
    await _export(co, folder / "customers.parquet")


async def zstd(co: ChargeOver, folder: Path) -> None:
    """An export that is compressed."""
    await _export(co, folder / "customers.jsonl.zst")


async def dlt(_: ChargeOver, __: Path) -> None:
    """The source."""
    from chargeover_async.dlt import chargeover

    assert callable(chargeover)


PROBES: dict[str, Probe] = {
    probe.__name__: probe for probe in (bare, cli, redis, webhooks, testing, parquet, zstd, dlt)
}


async def main(names: list[str]) -> None:
    """A sandbox with one customer for each."""
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            async with (
                Sandbox(quota=None) as sandbox,
                ChargeOver(
                    sandbox.url, sandbox.username, sandbox.password, limiter=NoLimit()
                ) as co,
            ):
                await co.customers.create(company="Acme")
                await PROBES[name](co, Path(folder))
        print(f"{name}: works")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
