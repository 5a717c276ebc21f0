"""One process's part of a shared quota: asks the ledger for a few slots, hands them to its waiters.

`ledger` holds the rules and says why they are exact; here are the event loop, the waiters and the
one exchange at a time with wherever the ledger is kept (`Books`).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import random as _random
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from heapq import heappop, heappush
from types import TracebackType
from typing import Literal, Protocol, Self

from chargeover_async.errors import NotSent, UsageError

from .base import Permit, Priority, QuotaSettings, QuotaStats
from .ledger import SECOND, Call, Reply, Report, Rules
from .window import QuotaWindow, Slot

_log = logging.getLogger("chargeover_async.limits")

WhenAway = Literal["wait", "alone"]

_GIVE_BACK_S = 0.1
"""How long slots that nobody wants any more are kept for whoever comes next."""

_GAP_S = 0.005
"""Least time between two exchanges, so that what happens together is told together."""

_FIRST_RETRY_S = 0.1
_LONGEST_RETRY_S = 2.0
_WARN_AGAIN_S = 60.0
_CLOSE_S = 2.0
_TICK_S = 1e-5
"""Timers are set this much late, so that the rounding of a clock does not wake us for nothing."""


class BooksAway(Exception):
    """The ledger cannot be reached. ``lasting``: no waiting will help, the setup is wrong."""

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lasting = lasting


class Books(Protocol):
    """Where a ledger is kept."""

    @property
    def place(self) -> str:
        """Its name for people; never credentials."""
        ...

    async def exchange(self, call: Call) -> Reply:
        """What `ledger.exchange` does, atomically. Raises BooksAway; may have happened then."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


def steady_clock() -> Callable[[], float]:
    """Seconds that nobody sets, counting while the machine sleeps where the system can do that."""
    boot: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    if boot is None:
        return time.monotonic
    return lambda: time.clock_gettime(boot)


class SharedLimiter:
    """Grants permits from a quota that several processes share.

    Use it as an async context manager, or call `aclose`, which gives back what is not used.

    ``settings`` must be the same for all who share. ``when_away`` says what happens while the
    ledger cannot be reached: ``"wait"``, or go on ``"alone"`` with ``alone_share`` of the quota,
    after the time it takes until nothing counts of what was granted before. The promise then holds
    if all lose the ledger together and their shares add up to 1 at most. ``trust_empty`` takes a
    ledger that does not exist for an unused quota, instead of waiting as if it had been lost.
    ``clock`` gives seconds that only grow, ``random`` draws jitter.

    Invariants beyond those of the ledger, each with a test that bears its number:

    1. A permit is sent within its lease or not at all: `Permit.sent` raises NotSent after it.
    2. Waiters of one class are served first in, first out; direct before bulk, which keeps its
       share.
    3. A waiter that is cancelled costs nothing: its slot is the next one's, or goes back.
    4. At most one exchange is under way, and none begins unless somebody waits for more than is
       reserved, or there is something to report; nothing polls.
    5. A 429 stops this process at once, and all others at their next exchange.
    6. While the ledger is away nothing beyond the reserved slots is granted, unless ``"alone"``.
    7. After `aclose` nothing is granted, every waiter gets NotSent, and unused slots are back.
    """

    def __init__(
        self,
        books: Books,
        settings: QuotaSettings | None = None,
        *,
        when_away: WhenAway = "wait",
        alone_share: float = 0.1,
        trust_empty: bool = False,
        clock: Callable[[], float] | None = None,
        random: _random.Random | None = None,
    ) -> None:
        if when_away not in {"wait", "alone"}:
            raise UsageError(f'when_away must be "wait" or "alone", not {when_away!r}')
        if not 0 < alone_share <= 1:
            raise UsageError(f"alone_share must be above 0 and at most 1, not {alone_share!r}")
        self._books = books
        self._settings = settings or QuotaSettings()
        self._rules = rules = Rules.of(self._settings)
        self._when_away = when_away
        self._alone_share = alone_share
        self._trust_empty = trust_empty
        self._clock = clock or steady_clock()
        self._random = random or _random.Random()  # noqa: S311 - jitter is no secret
        self._name = secrets.token_hex(8)
        self._own_slots = itertools.count(1)
        self._lease_s = rules.lease / SECOND
        self._beat_s = self._lease_s / 2
        # Who waits; what is reserved for them, by the time it is due; what is out.
        self._direct: OrderedDict[asyncio.Future[SharedPermit], None] = OrderedDict()
        self._bulk: OrderedDict[asyncio.Future[SharedPermit], None] = OrderedDict()
        self._pool: list[tuple[float, int, SharedPermit]] = []
        self._order = itertools.count()
        self._open: dict[SharedPermit, None] = {}
        # What is to be told, and what was said last.
        self._settled: deque[tuple[float, str]] = deque()
        self._returned: dict[str, None] = {}
        self._refusals: deque[tuple[float | None, int]] = deque()
        self._told_books = 0
        self._told_now = 0
        self._asked_at = -math.inf
        self._ask_at = -math.inf
        self._direct_unmet = False
        self._reply: Reply | None = None
        # The event loop.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._grant_timer: asyncio.TimerHandle | None = None
        self._ask_timer: asyncio.TimerHandle | None = None
        self._closed = False
        # Away, paused.
        self._contact_at = -math.inf
        self._away_since: float | None = None
        self._warned_at = -math.inf
        self._failures = 0
        self._retry_at = -math.inf
        self._alone: QuotaWindow | None = None
        self._paused_at = -math.inf
        self._paused_until = -math.inf
        # Shares and figures.
        self._debt = 0.0
        self._bulk_was_last = False
        self._granted = 0
        self._granted_direct = 0
        self._granted_early = 0
        self._throttled = 0
        self._pauses = 0
        self._waited_s = 0.0

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self._settings.limit} per {self._settings.window_s:g} s"
            f" at {self._books.place}, {len(self._direct)} direct and {len(self._bulk)} bulk"
            " waiting>"
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def settings(self) -> QuotaSettings:
        """What the limiter was built with."""
        return self._settings

    @property
    def is_away(self) -> bool:
        """Whether the ledger cannot be reached, as of the last try."""
        return self._away_since is not None

    @property
    def stats(self) -> QuotaStats:
        """This process's figures; ``limit`` and ``in_window`` are everybody's, as last heard."""
        alone, reply = self._alone, self._reply
        limit, in_window = self._settings.limit, 0
        if alone is not None:
            limit, in_window = alone.limit, alone.in_window
        elif reply is not None:
            limit, in_window = reply.limit, reply.in_window
        return QuotaStats(
            granted=self._granted,
            granted_direct=self._granted_direct,
            granted_early=self._granted_early,
            throttled=self._throttled,
            pauses=self._pauses,
            waiting=len(self._direct) + len(self._bulk),
            waited_s=self._waited_s,
            in_flight=len(self._open),
            in_window=in_window,
            limit=limit,
            paused_for_s=max(0.0, self._paused_until - self._clock()),
        )

    # -- for those who send ------------------------------------------------------------------

    async def acquire(self, priority: Priority) -> Permit:
        """Wait for the permit to send one request.

        Raises NotSent once the limiter is closed; UsageError in a second event loop, when the
        ledger refuses us for good, or when others share it with other settings.
        """
        if self._closed:
            raise NotSent("the quota is closed; nothing more is sent")
        loop = self._bind()
        queue = self._direct if priority is Priority.DIRECT else self._bulk
        turn: asyncio.Future[SharedPermit] = loop.create_future()
        queue[turn] = None
        self._look()
        if not turn.done():
            asked_at = self._clock()
            try:
                await turn
            except asyncio.CancelledError:
                self._withdraw(queue, turn)
                raise
            self._waited_s += max(0.0, self._clock() - asked_at)
        return turn.result()

    def throttled(
        self, retry_after_s: float | None = None, *, permit: Permit | None = None
    ) -> None:
        """The server answered 429: this process pauses at once, the others when they hear of it.

        ``permit`` is the one of the refused request.
        """
        now = self._clock()
        self._throttled += 1
        mine = permit if isinstance(permit, SharedPermit) else None
        if mine is not None and mine.granted_at <= self._paused_at:
            return  # under way before the pause began
        if mine is None and now < self._paused_until:
            return
        if self._alone is not None:
            chance, slot = self._random.random(), mine.alone if mine else None
            pause = self._alone.throttled(now, retry_after_s, slot, chance)
        else:
            pause = self._settings.pause_s
            if retry_after_s is not None and 0 <= retry_after_s < math.inf:
                pause = min(retry_after_s, 10 * self._settings.window_s)
        if pause is None:
            return
        self._refusals.append((retry_after_s, mine.made if mine else -1))
        self._pauses += 1
        self._paused_at = now
        self._paused_until = max(self._paused_until, now + pause)
        self._give_back(len(self._pool))
        _log.warning(
            "the server refused a request with 429: all requests on the quota at %s pause for"
            " about %.1f s, then restart slowly",
            self._books.place,
            pause,
        )
        self._look()

    async def aclose(self) -> None:
        """Grant nothing more, give back what is not used; whoever waits gets NotSent."""
        if self._closed:
            return
        self._closed = True
        self._set_grant_timer(None)
        self._set_ask_timer(None)
        self._fail(lambda: NotSent("the quota was closed before this was its turn"))
        self._give_back(len(self._pool))
        task = self._task
        try:
            async with asyncio.timeout(_CLOSE_S):
                if task is not None:
                    await asyncio.wait([task])
                self._give_back(len(self._pool))  # what that exchange has brought
                if self._told_books and not self.is_away:
                    await self._books.exchange(self._call(self._clock()))
        except (BooksAway, TimeoutError) as error:
            _log.info("the quota at %s was not told the end: %s", self._books.place, error)
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])
        await self._books.aclose()

    # -- for permits -------------------------------------------------------------------------

    def sent(self, permit: SharedPermit) -> None:
        now = self._clock()
        if permit.is_open and permit.sent_at is None:
            if now > permit.lapses_at:
                raise NotSent(
                    "its permit lapsed before it could be sent: the event loop or the way to the"
                    f" shared quota at {self._books.place} took longer than {self._lease_s:g} s"
                )
        else:
            # The HTTP layer repeats it: what went before counts as it did, this is one more.
            if permit.is_open:
                self._settled.append((now, permit.slot))
            permit.slot = f"{self._name}-{next(self._own_slots)}"
            permit.made = -1
            permit.leased_at = -math.inf
            permit.is_open = True
            self._open[permit] = None
            self._count(permit, 1)
        permit.sent_at = now

    def done(self, permit: SharedPermit) -> None:
        if permit.is_open:
            self._settle(permit, self._clock())
            self._look()

    def unused(self, permit: SharedPermit) -> None:
        if not permit.is_open:
            return
        self._count(permit, -1)
        self._close_permit(permit)
        self._put_back(permit)
        self._look()

    # -- permits inside ----------------------------------------------------------------------

    def _settle(self, permit: SharedPermit, now: float) -> None:
        settled = now
        if permit.sent_at is not None:
            settled = min(now, permit.sent_at + self._settings.guard_s)
        self._close_permit(permit)
        self._settled.append((settled, permit.slot))
        if permit.alone is not None and self._alone is not None:
            self._alone.done(permit.alone, settled)

    def _close_permit(self, permit: SharedPermit) -> None:
        permit.is_open = False
        self._open.pop(permit, None)

    def _put_back(self, permit: SharedPermit) -> None:
        """Nothing was sent with this one: for the next waiter, or for the others."""
        if permit.alone is not None:
            if self._alone is not None:
                self._alone.unused(permit.alone, self._clock())
        elif self._closed or self._clock() >= permit.lapses_at:
            self._returned[permit.slot] = None
        else:
            heappush(self._pool, (permit.due_at, next(self._order), permit))

    def _give_back(self, count: int) -> None:
        """Return that many of the reserved slots to everybody, the latest first."""
        if count <= 0:
            return
        self._pool.sort()
        for _, _, permit in self._pool[len(self._pool) - count :]:
            self._returned[permit.slot] = None
        del self._pool[len(self._pool) - count :]

    def _count(self, permit: SharedPermit, by: int) -> None:
        self._granted += by
        if permit.priority is Priority.DIRECT:
            self._granted_direct += by
        if permit.is_early:
            self._granted_early += by

    # -- granting ----------------------------------------------------------------------------

    def _look(self) -> None:
        """Grant what may go now; set the timers for the rest."""
        if not self._closed:
            self._pump()
            self._plan_exchange()

    def _pump(self) -> None:
        while self._direct or self._bulk:
            now = self._clock()
            if now < self._paused_until:
                self._set_grant_timer(self._paused_until)
                return
            permit = self._next_permit(now)
            if permit is None:
                return
            queue = self._direct if permit.priority is Priority.DIRECT else self._bulk
            turn, _ = queue.popitem(last=False)
            if turn.done():  # cancelled, and its task has not run yet to withdraw it
                self._put_back(permit)
                continue
            permit.is_open = True
            permit.granted_at = now
            self._open[permit] = None
            self._count(permit, 1)
            turn.set_result(permit)
        self._set_grant_timer(None)

    def _next_permit(self, now: float) -> SharedPermit | None:
        """The slot that is due, given to a class; else None, with the timer set."""
        while self._pool:
            due_at, _, permit = self._pool[0]
            if due_at > now:
                self._set_grant_timer(due_at)
                return None
            heappop(self._pool)
            if now < permit.lapses_at:
                permit.priority = self._choose()
                return permit
            self._returned[permit.slot] = None
        if self._alone is None:
            self._set_grant_timer(None)
            return None
        slot = self._alone.grant(now, direct=bool(self._direct), bulk=bool(self._bulk))
        if slot is None:
            at = self._alone.wake_at(now)
            self._set_grant_timer(at)
            return None
        name = f"{self._name}-{next(self._own_slots)}"
        permit = SharedPermit(self, name, due_at=now, lapses_at=math.inf, alone=slot)
        permit.priority = slot.priority
        return permit

    def _choose(self) -> Priority:
        # As in `window`: direct first, but bulk that is owed a turn gets it, never two in a row.
        share = self._settings.bulk_share
        both = bool(self._direct) and bool(self._bulk)
        owed = both and not self._bulk_was_last and self._debt > 1 - share
        if self._direct and not owed:
            self._debt += share if both else 0.0
            self._bulk_was_last = False
            return Priority.DIRECT
        self._debt = max(0.0, self._debt - (1 - share))
        self._bulk_was_last = both
        return Priority.BULK

    def _withdraw(
        self,
        queue: OrderedDict[asyncio.Future[SharedPermit], None],
        turn: asyncio.Future[SharedPermit],
    ) -> None:
        """Take back a waiter whose task was cancelled, before or after it was granted."""
        if turn.cancelled():
            queue.pop(turn, None)
            self._look()
        elif turn.exception() is None:
            self.unused(turn.result())

    def _fail(self, error: Callable[[], Exception]) -> None:
        for queue in (self._direct, self._bulk):
            while queue:
                turn, _ = queue.popitem(last=False)
                if not turn.done():
                    turn.set_exception(error())

    # -- exchanges ---------------------------------------------------------------------------

    def _plan_exchange(self) -> None:
        """Set the timer for the next exchange, if there is anything to ask or to tell."""
        if self._task is not None or self._closed:
            return
        now = self._clock()
        waiting = len(self._direct) + len(self._bulk)
        missing = waiting - len(self._pool)
        at = math.inf
        if missing > 0:
            at = now if self._may_ask_direct(now) else max(now, self._ask_at)
        if self._refusals:
            at = now
        elif missing < 0 or self._returned:
            at = min(at, now + _GIVE_BACK_S, self._ask_timer_at(now))
        if self._open or self._settled:
            at = min(at, max(now, self._asked_at + self._beat_s))
        if self.is_away:
            at = max(at, self._retry_at)
        at = max(at, self._asked_at + _GAP_S)
        self._set_ask_timer(at if at < math.inf else None)

    def _ask_timer_at(self, now: float) -> float:
        # What is to be given back must not be put off by each look at it.
        timer, loop = self._ask_timer, self._loop
        if timer is None or loop is None:
            return math.inf
        return now + max(0.0, timer.when() - loop.time())

    def _may_ask_direct(self, now: float) -> bool:
        if now >= self._ask_at:
            return True
        return len(self._direct) > len(self._pool) and not self._direct_unmet

    def _start_exchange(self) -> None:
        self._ask_timer = None
        if self._task is None and not self._closed and self._loop is not None:
            self._task = self._loop.create_task(self._exchange(), name="chargeover-quota")

    async def _exchange(self) -> None:
        asked_at = self._clock()
        ticket = asked_at < self._ask_at
        call = self._call(asked_at)
        try:
            reply = await self._books.exchange(call)
        except BooksAway as error:
            self._went_away(error)
        except Exception as error:  # noqa: BLE001 - whoever waits must not wait for ever
            _log.exception("the shared quota at %s failed", self._books.place)
            self._went_away(BooksAway(f"{type(error).__name__}: {error}"))
        else:
            self._take(asked_at, call, reply, ticket=ticket)
        finally:
            self._task = None
        self._look()

    def _call(self, now: float) -> Call:
        """Everything there is to tell and to ask at this moment."""
        waiting = len(self._direct) + len(self._bulk)
        self._give_back(len(self._pool) - waiting)
        guard_s = self._settings.guard_s
        held: list[Report] = []
        for permit in list(self._open):
            if permit.sent_at is not None:
                if now >= permit.sent_at + guard_s:
                    self._settle(permit, now)
                elif permit.leased_at == -math.inf:
                    held.append(Report("H", permit.slot))  # not known there yet
            elif now - permit.leased_at > self._lease_s / 4:
                held.append(Report("H", permit.slot))
        refusals = [
            Report("T", "", _retry_after_us(retry_after_s), made)
            for retry_after_s, made in self._refusals
        ]
        settled = [
            Report("S", slot, max(0, math.ceil((now - at) * SECOND))) for at, slot in self._settled
        ]
        returned = [Report("U", slot) for slot in self._returned]
        direct = max(0, len(self._direct) - len(self._pool))
        bulk = max(0, waiting - len(self._pool) - direct)
        if now < self._ask_at:
            direct, bulk = 0 if self._direct_unmet else direct, -1
        if self._closed:
            direct, bulk = 0, 0
        return Call(
            rules=self._rules,
            process=self._name,
            books=self._told_books,
            seen=self._told_now,
            elapsed=math.ceil((now - self._asked_at) * SECOND) if self._told_books else 0,
            direct=direct,
            bulk=bulk,
            chance=self._random.randrange(1_000_000),
            trusts_empty=self._trust_empty,
            reports=(*settled, *returned, *held, *refusals),
        )

    def _take(self, asked_at: float, call: Call, reply: Reply, *, ticket: bool) -> None:
        now = self._clock()
        self._asked_at = asked_at
        self._back(now)
        if reply.quarrel:
            self._retry_later(asked_at)
            self._fail(lambda: UsageError(self._quarrel(reply.quarrel)))
            return
        self._forget(call.reports)
        if reply.books != self._told_books and reply.lost_in:
            _log.warning(
                "the quota at %s is %s: as if it had been used up, nothing is granted for %.0f s",
                self._books.place,
                "lost" if self._told_books else "new",
                reply.lost_in / SECOND,
            )
        self._told_books, self._told_now, self._reply = reply.books, reply.now, reply
        for report in call.reports:
            if report.kind == "H":
                self._renewed(report.slot, asked_at)
        for grant in reply.grants:
            due_at = now + grant.due_in / SECOND
            lapses_at = asked_at + grant.due_in / SECOND + self._lease_s
            permit = SharedPermit(self, grant.slot, due_at=due_at, lapses_at=lapses_at)
            permit.made, permit.is_early, permit.leased_at = reply.now, grant.early, due_at
            heappush(self._pool, (due_at, next(self._order), permit))
        blocked = max(reply.paused_in, reply.lost_in)
        if reply.paused_in and not self._refusals:
            if now >= self._paused_until:
                self._pauses += 1
                self._paused_at = now
            self._paused_until = now + reply.paused_in / SECOND
        elif not self._refusals and self._alone is None:
            self._paused_until = min(self._paused_until, now)
        if reply.ask_in >= 0 or blocked:
            self._ask_at = now + max(reply.ask_in, blocked) / SECOND
            self._direct_unmet = bool(blocked) or call.direct > len(reply.grants)
        elif not ticket:
            self._ask_at = -math.inf
            self._direct_unmet = False

    def _forget(self, told: tuple[Report, ...]) -> None:
        """What was told need not be told again; what came up meanwhile stays."""
        for report in told:
            if report.kind == "S":
                self._settled.popleft()
            elif report.kind == "U":
                self._returned.pop(report.slot, None)
            elif report.kind == "T":
                self._refusals.popleft()

    def _renewed(self, slot: str, asked_at: float) -> None:
        for permit in self._open:
            if permit.slot == slot:
                permit.leased_at = asked_at
                permit.lapses_at = max(permit.lapses_at, asked_at + self._lease_s)

    def _quarrel(self, theirs: str) -> str:
        limit, window, margin, guard, _ = (int(word) for word in theirs.split())
        return (
            f"the quota at {self._books.place} is in use with other settings: limit={limit},"
            f" window_s={window / SECOND:g}, margin_s={margin / SECOND:g},"
            f" guard_s={guard / SECOND:g}. All who share it need the same; they may change when"
            " it has not been used for a window"
        )

    # -- away --------------------------------------------------------------------------------

    def _went_away(self, error: BooksAway) -> None:
        now = self._clock()
        if self._away_since is None:
            self._away_since = now
            if self._contact_at == -math.inf:
                self._contact_at = now
        self._retry_later(now)
        if error.lasting:
            reason = error.reason
            self._fail(lambda: UsageError(f"the quota at {self._books.place}: {reason}"))
        alone_at = self._contact_at + self._rules.recovery / SECOND
        if self._when_away == "alone" and self._alone is None and now >= alone_at:
            share = max(1, int(self._settings.limit * self._alone_share))
            self._alone = QuotaWindow(
                QuotaSettings(
                    share,
                    self._settings.window_s,
                    burst=0,
                    guard_s=self._settings.guard_s,
                    bulk_share=self._settings.bulk_share,
                    margin_s=self._settings.margin_s,
                    pause_s=self._settings.pause_s,
                )
            )
            _log.warning(
                "the quota at %s is away (%s): going on alone with %d requests per %g s",
                self._books.place,
                error.reason,
                share,
                self._settings.window_s,
            )
            self._warned_at = now
        elif now - self._warned_at >= _WARN_AGAIN_S and not error.lasting:
            _log.warning(
                "the quota at %s is away (%s): %s",
                self._books.place,
                error.reason,
                "going on alone"
                if self._alone is not None
                else f"{len(self._direct) + len(self._bulk)} requests wait until it is back",
            )
            self._warned_at = now
        # Reports of what no longer counts need not be kept until somebody hears them.
        while self._settled and self._settled[0][0] < now - 2 * self._rules.span / SECOND:
            self._settled.popleft()

    def _retry_later(self, now: float) -> None:
        doubled = _FIRST_RETRY_S * 2.0 ** min(self._failures, 10)
        pause = min(doubled, _LONGEST_RETRY_S) * (0.75 + self._random.random() / 2)
        self._failures += 1
        self._retry_at = now + pause

    def _back(self, now: float) -> None:
        self._contact_at = now
        self._failures = 0
        if self._away_since is None:
            return
        _log.warning(
            "the quota at %s is back after %.1f s", self._books.place, now - self._away_since
        )
        self._away_since = None
        self._warned_at = -math.inf
        self._alone = None

    # -- the event loop ----------------------------------------------------------------------

    def _bind(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise UsageError("this quota serves another event loop; give each loop its own")
        return loop

    def _set_grant_timer(self, at: float | None) -> None:
        self._grant_timer = self._set_timer(self._grant_timer, at, self._on_grant_timer)

    def _set_ask_timer(self, at: float | None) -> None:
        self._ask_timer = self._set_timer(self._ask_timer, at, self._start_exchange)

    def _set_timer(
        self, timer: asyncio.TimerHandle | None, at: float | None, then: Callable[[], None]
    ) -> asyncio.TimerHandle | None:
        if timer is not None:
            timer.cancel()
        if at is None or self._loop is None:
            return None
        return self._loop.call_later(max(0.0, at - self._clock()) + _TICK_S, then)

    def _on_grant_timer(self) -> None:
        self._grant_timer = None
        self._look()


class SharedPermit:
    """A permit of a `SharedLimiter`."""

    __slots__ = (
        "_limiter",
        "alone",
        "due_at",
        "granted_at",
        "is_early",
        "is_open",
        "lapses_at",
        "leased_at",
        "made",
        "priority",
        "sent_at",
        "slot",
    )

    def __init__(
        self,
        limiter: SharedLimiter,
        slot: str,
        *,
        due_at: float,
        lapses_at: float,
        alone: Slot | None = None,
    ) -> None:
        self._limiter = limiter
        self.slot = slot
        self.due_at = due_at
        self.lapses_at = lapses_at
        self.alone = alone
        self.made = -1
        self.leased_at = -math.inf
        self.granted_at = -math.inf
        self.sent_at: float | None = None
        self.is_open = False
        self.is_early = False
        self.priority = Priority.BULK

    def sent(self) -> None:
        """The bytes are leaving now. Raises NotSent when the permit has lapsed: do not send."""
        self._limiter.sent(self)

    def done(self) -> None:
        """The answer is in, or the attempt has failed."""
        self._limiter.done(self)

    def unused(self) -> None:
        """Nothing was sent: the permit costs nothing."""
        self._limiter.unused(self)


def _retry_after_us(seconds: float | None) -> int:
    if seconds is None or not 0 <= seconds < math.inf:
        return -1
    return round(min(seconds, 1e6) * SECOND)


__all__ = ("Books", "BooksAway", "SharedLimiter", "SharedPermit", "WhenAway", "steady_clock")
