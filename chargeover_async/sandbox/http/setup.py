"""How a sandbox is set up, and what stands behind it then."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from chargeover_async.sandbox.api.router import Api
from chargeover_async.sandbox.api.variant import Variant
from chargeover_async.sandbox.store.store import Store

from .faults import Faults
from .log import LogEntry
from .quota import Quota, QuotaMeter

DEFAULT_QUOTA = Quota()
DEFAULT_CREDENTIAL = "sandbox"
MAX_BODY = 16 * 2**20
MAX_LOG = 20_000  # full batches of 25 make this some 80 MB


@dataclass(frozen=True, kw_only=True)
class Setup:
    """All that `Sandbox` and `make_app` can be told, but for the store; they say what it means."""

    clock: Callable[[], float] = time.monotonic
    faults: Faults = field(default_factory=Faults)
    quota: Quota = DEFAULT_QUOTA
    variant: Variant = field(default_factory=Variant)
    username: str = DEFAULT_CREDENTIAL
    password: str = DEFAULT_CREDENTIAL
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
    log: deque[LogEntry] = field(default_factory=lambda: deque[LogEntry](maxlen=MAX_LOG))
    max_body: int = MAX_BODY
    keep_bodies: bool = False
    webhook_token: str = DEFAULT_CREDENTIAL
    webhook_hosts: Collection[str] = ()


class Behind:
    """What stands behind one application: the records and their API, quota, faults and log."""

    def __init__(self, store: Store, setup: Setup) -> None:
        self.setup = setup
        self.store = store
        self.api = Api(store, setup.variant)
        self.clock = setup.clock
        self.faults = setup.faults
        self.meter = QuotaMeter(setup.quota)
        self.log = setup.log
        self.arrived = self.log[-1].number if self.log else 0  # the control plane's left out

    def reset(self) -> None:
        """Forget records, faults, log and used quota."""
        self.store.clear()
        self.faults.clear()
        self.log.clear()
        self.meter = QuotaMeter(self.setup.quota)
