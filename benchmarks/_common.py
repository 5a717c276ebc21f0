"""What every benchmark needs: servers in processes of their own, options, and one way to report."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

OURS = ("chargeover-async", "aiohttp", "msgspec", "yarl")


@dataclass(frozen=True)
class Account:
    """Where a server listens, and what opens it."""

    url: str
    username: str = "user"
    password: str = "password"


@contextlib.asynccontextmanager
async def server(*module_and_options: str, within_s: float = 300) -> AsyncGenerator[Account, None]:
    """``python -m MODULE OPTIONS`` in a process of its own, which prints where it listens."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *module_and_options, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), within_s)
        yield Account(*line.decode().split())
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def answering() -> contextlib.AbstractAsyncContextManager[Account]:
    """The server that answers and does no work (`benchmarks._answering`)."""
    return server("benchmarks._answering")


def sandbox(*options: str) -> contextlib.AbstractAsyncContextManager[Account]:
    """The sandbox, without a quota."""
    return server("chargeover_async.sandbox", "--quota-kind=none", *options)


async def seconds_of(
    run: Callable[[], Awaitable[Any]], clock: Callable[[], float] = time.perf_counter
) -> float:
    """How long a run takes, with nothing left over from the one before."""
    gc.collect()
    began = clock()
    await run()
    return clock() - began


async def rates(
    contenders: Mapping[str, tuple[int, Callable[[], Awaitable[Any]]]],
    rounds: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
    of: Callable[[Iterable[float]], float] = statistics.median,
) -> dict[str, float]:
    """Operations a second of each contender: the median of ``rounds``, taken in turn.

    Whatever else the machine does befalls all of them alike. A first round is not counted.
    ``of=max`` takes the best, for what waits for nothing: all that can happen to processor time is
    that others, who share caches and cores, make it longer.
    """
    seen: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(-1, rounds):
        for name, (operations, run) in contenders.items():
            seconds = await seconds_of(run, clock)
            if number >= 0:
                seen[name].append(operations / seconds)
    return {name: of(rates) for name, rates in seen.items()}


def options_of(
    name: str,
    description: str | None,
    arguments: list[str] | None,
    **sizes: tuple[int, int],
) -> argparse.Namespace:
    """``--json``, ``--full`` and a number for each size, by default its first, else its second."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--full", action="store_true", help="the large size")
    for size, (default, full) in sizes.items():
        parser.add_argument(f"--{size}", type=int, help=f"default {default}, with --full {full}")
    options = parser.parse_args(arguments)
    for size, (default, full) in sizes.items():
        value = getattr(options, size)
        if value is None:
            setattr(options, size, full if options.full else default)
        elif value < 1:
            parser.error(f"--{size} must be at least 1")
    return options


def report(name: str, figures: Mapping[str, Any], packages: Iterable[str] = ()) -> dict[str, Any]:
    """The figures with what they were taken on."""
    return {
        "benchmark": name,
        **figures,
        "versions": versions((*OURS, *packages)),
        "machine": {
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "system": platform.system(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
        },
    }


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """What is installed; None for what is not, as the library when it is run from a checkout."""
    found: dict[str, str | None] = {}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def finish(result: Mapping[str, Any], table: Iterable[str], *, as_json: bool) -> None:
    """Print the table, or the JSON on one line."""
    if as_json:
        print(json.dumps(result))
    else:
        for line in table:
            print(line)
