"""``chargeover-async sandbox``."""

from __future__ import annotations

import math
from typing import Literal, cast

import click

from chargeover_async.sandbox import Faults, StorageError, serve

from .exits import Exit

Kind = Literal["rolling", "fixed", "bucket"]


@click.command(
    "sandbox",
    epilog="Example: chargeover-async sandbox --port 8080 --quota 250 --window 6 --kind rolling",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback address.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="0 takes a free one.",
)
@click.option("--quota", default=250, show_default=True, help="Requests per window.")
@click.option("--window", default=60.0, show_default=True, help="Length of the window, seconds.")
@click.option(
    "--kind",
    type=click.Choice(["rolling", "fixed", "bucket", "none"]),
    default="rolling",
    show_default=True,
    help="How the quota is counted; none lets every request through.",
)
@click.option("--seed", default=0, show_default=True, help="For the tokens of the records.")
@click.option(
    "--store",
    "path",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Keep the records in this file, made if need be; in memory by default.",
)
@click.option(
    "--seed-from",
    "seeds",
    type=click.Path(exists=True),
    multiple=True,
    help="Records to begin with: customer.jsonl, a .json file of all objects, or a directory.",
)
@click.option(
    "--fault-rate",
    "rates",
    metavar="KIND:RATE",
    multiple=True,
    help="A fault by chance, such as lost:0.05 or delay_before=0.2:0.1; may be repeated.",
)
@click.option(
    "--fault-script",
    "script",
    metavar="KINDS",
    default="",
    help="Faults of the first requests, one each, such as 429,none,lost*3.",
)
@click.option("--fault-seed", default=0, show_default=True, help="For the faults by chance.")
@click.option(
    "--maintenance",
    "maintenance_s",
    type=click.FloatRange(0),
    default=0.0,
    metavar="SECONDS",
    help="Answer 503 for so long at first.",
)
@click.option(
    "--webhook-host",
    "webhook_hosts",
    multiple=True,
    metavar="HOST",
    help="Post webhooks to this host, too; otherwise to this machine only. May be repeated.",
)
def sandbox_command(
    host: str,
    port: int,
    quota: int,
    window: float,
    kind: str,
    seed: int,
    path: str | None,
    seeds: tuple[str, ...],
    rates: tuple[str, ...],
    script: str,
    fault_seed: int,
    maintenance_s: float,
    webhook_hosts: tuple[str, ...],
) -> None:
    """Serve a local server that behaves like a ChargeOver account, until Ctrl-C.

    Prints URL, user name and password on one line once it listens, and to stderr the URL of a page
    that shows in a browser what is in it. With --store, whatever was answered is still there after
    a crash or kill.
    """
    if quota < 1 or not (math.isfinite(window) and window > 0):
        raise click.UsageError("--quota and --window must be positive")
    try:
        serve(
            host,
            port,
            quota_limit=quota,
            quota_window_s=window,
            quota_kind=None if kind == "none" else cast("Kind", kind),
            seed=seed,
            path=path,
            seeds=seeds,
            faults=Faults.from_text(rates, script, seed=fault_seed),
            maintenance_s=maintenance_s,
            webhook_hosts=webhook_hosts,
        )
    except StorageError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(Exit.BAD_INPUT) from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        click.echo(f"Error: cannot listen on {host} port {port}: {error.strerror}", err=True)
        raise SystemExit(Exit.BAD_INPUT) from None


__all__ = ("sandbox_command",)
