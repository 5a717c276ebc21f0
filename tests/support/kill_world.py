"""Two programs in processes of their own, to be killed: a sandbox on disk, and an import.

Run as a script: ``kill_world.py sandbox PORT FILE SEED`` serves until SIGTERM, loses 5 % of all
answers, and then prints what it has seen; ``kill_world.py import PLAN JOURNAL URL RATE`` imports,
with at most RATE requests a second, and prints its summary; with ``update`` behind that it changes
what is there.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

LOST = 0.05
CREDENTIAL = "kill-test"


async def _sandbox(port: int, path: str, seed: int) -> None:
    from chargeover_async.sandbox import Faults, Sandbox

    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with Sandbox(
        port=port,
        path=path,
        quota=None,
        faults=Faults({"lost": LOST}, seed=seed),
        username=CREDENTIAL,
        password=CREDENTIAL,
        max_log=1_000_000,
    ) as sandbox:
        print("ready", flush=True)
        await ended.wait()
        asked = [(entry.method, entry.path) for entry in sandbox.log]
        asked += [(item.method, item.uri) for entry in sandbox.log for item in entry.items]
        lookups = sum(method == "GET" and "external_key:" in path for method, path in asked)
        print(json.dumps({"requests": len(sandbox.log), "lookups": lookups}), flush=True)


async def _import(plan: str, journal: str, url: str, rate: float, update: bool) -> None:
    from chargeover_async import ChargeOver, LocalLimiter, RetryPolicy
    from chargeover_async.limits import QuotaSettings
    from chargeover_async.migrate import ImportJob, read_plan

    folder = Path(journal).parent
    job = ImportJob(
        read_plan(Path(plan)),
        journal=Path(journal),
        failures=folder / "failures.jsonl",
        results=None if update else folder / "results.csv",
        update=update,
    )
    quick = RetryPolicy(attempts=8, base_s=0.01, cap_s=0.1, budget=10_000)
    limiter = LocalLimiter(QuotaSettings(limit=max(1, int(rate)), window_s=1.0, guard_s=0.1))
    async with ChargeOver(url, CREDENTIAL, CREDENTIAL, limiter=limiter, retry=quick) as co:
        print((await job.run(co)).json(), flush=True)


def start(*arguments: object) -> subprocess.Popen[str]:
    """One of the two, in a process of its own, with the package that is tested here."""
    import chargeover_async

    root = str(Path(chargeover_async.__file__).parents[1])
    return subprocess.Popen(  # noqa: S603 - the interpreter that runs this, and this file
        [sys.executable, __file__, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )


def start_sandbox(port: int, path: Path, seed: int) -> subprocess.Popen[str]:
    """A sandbox that listens."""
    process = start("sandbox", port, path, seed)
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        assert process.stderr is not None
        raise AssertionError(process.stderr.read())
    return process


def kill(process: subprocess.Popen[str]) -> bool:
    """Kill -9; whether it was still running."""
    ran = process.poll() is None
    process.kill()
    process.communicate()
    return ran


if __name__ == "__main__":
    if sys.argv[1] == "sandbox":
        asyncio.run(_sandbox(int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
    else:
        way = "update" in sys.argv[6:]
        asyncio.run(_import(sys.argv[2], sys.argv[3], sys.argv[4], float(sys.argv[5]), way))
