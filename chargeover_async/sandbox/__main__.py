"""``python -m chargeover_async.sandbox``: serve a sandbox until a signal ends it."""

from __future__ import annotations

import argparse

from . import Faults, StorageError, serve


def main(arguments: list[str] | None = None) -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(prog="chargeover_async.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--quota-limit", type=int, default=250)
    parser.add_argument("--quota-window-s", type=float, default=60.0)
    parser.add_argument(
        "--quota-kind", choices=("rolling", "fixed", "bucket", "none"), default="rolling"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", metavar="FILE", help="keep the records in this file")
    parser.add_argument(
        "--seed-from", metavar="PATH", action="append", default=[], help="begin with these records"
    )
    parser.add_argument("--fault-rate", metavar="KIND:RATE", action="append", default=[])
    parser.add_argument("--fault-script", metavar="KIND,KIND,...", default="")
    parser.add_argument("--fault-seed", type=int, default=0)
    parser.add_argument("--maintenance-s", type=float, default=0.0)
    parser.add_argument(
        "--webhook-host", action="append", default=[], help="post webhooks to this host, too"
    )
    options = parser.parse_args(arguments)
    try:
        faults = Faults.from_text(options.fault_rate, options.fault_script, seed=options.fault_seed)
        serve(
            options.host,
            options.port,
            quota_limit=options.quota_limit,
            quota_window_s=options.quota_window_s,
            quota_kind=None if options.quota_kind == "none" else options.quota_kind,
            seed=options.seed,
            path=options.store,
            seeds=options.seed_from,
            faults=faults,
            maintenance_s=options.maintenance_s,
            webhook_hosts=options.webhook_host,
        )
    except (StorageError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
