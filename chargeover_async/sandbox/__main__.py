"""``python -m chargeover_async.sandbox``: serve a sandbox until a signal ends it.

For an installation without the command line; the options are those of ``chargeover-async sandbox``.
"""

from __future__ import annotations

import argparse

from chargeover_async.sandbox.http.faults import Faults
from chargeover_async.sandbox.store.file import StorageError

from .server import serve


def make_parser() -> argparse.ArgumentParser:
    """The options; four of them can be called as they once were, too."""
    parser = argparse.ArgumentParser(prog="chargeover_async.sandbox", description=__doc__)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="loopback address")
    add("--port", type=int, default=0, help="0, the default, takes a free one")
    add("--quota", "--quota-limit", type=int, default=250, help="requests per window")
    add("--window", "--quota-window-s", type=float, default=60.0, help="its length in seconds")
    kinds = ("rolling", "fixed", "bucket", "none")
    add("--kind", "--quota-kind", choices=kinds, default="rolling", help="how it is counted")
    add("--seed", type=int, default=0, help="for the tokens of the records")
    add("--store", metavar="FILE", help="keep the records in this file")
    add("--seed-from", metavar="PATH", action="append", default=[], help="begin with these records")
    add("--fault-rate", metavar="KIND:RATE", action="append", default=[])
    add("--fault-script", metavar="KIND,KIND,...", default="")
    add("--fault-seed", type=int, default=0)
    add("--maintenance", "--maintenance-s", type=float, default=0.0, help="seconds of 503 at first")
    add("--webhook-host", action="append", default=[], help="post webhooks to this host, too")
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Read the options and serve."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        serve(
            options.host,
            options.port,
            quota_limit=options.quota,
            quota_window_s=options.window,
            quota_kind=None if options.kind == "none" else options.kind,
            seed=options.seed,
            path=options.store,
            seeds=options.seed_from,
            faults=Faults.from_text(
                options.fault_rate, options.fault_script, seed=options.fault_seed
            ),
            maintenance_s=options.maintenance,
            webhook_hosts=options.webhook_host,
        )
    except (StorageError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
