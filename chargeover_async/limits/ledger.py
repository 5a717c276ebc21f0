"""The books of a quota that several processes share: pure arithmetic, told the time.

Whoever shares a quota keeps one *ledger* where all of them reach it: in Redis, where `ledger.lua`
does what `exchange` does here, or in a file. A process talks to it now and then, not once for each
waiter. In one exchange it reports what became of its requests and says how many more it wants; the
answer is a few slots, each with the moment from which it may be used, and when to ask again.

Words as in `window`: ``L`` requests in any ``W`` seconds, guard ``g``, margin ``m``. New is the
*lease* ``l``: a slot may be sent from its ``due`` until ``due + l`` and not later.

**Why it is exact.** A slot that is due at ``d`` counts from ``d`` until ``d + l + g + W + m``: the
last moment at which it may be sent, the longest way to the server, one window. A report brings
this forward to ``settled + W + m``, where ``settled`` is the answer, or ``g`` after sending. So a
request that arrives at ``a`` counts in all of ``[a, a + W + m)``, and at no moment do more than
``L`` slots count: a slot is made only for a moment ``d`` at which fewer than ``L`` of all that are
made have not ended. Nobody need trust anybody to report: a process that is killed leaves slots that
end by themselves.

**Whose clock.** The ledger's, alone. Processes send and get durations, never times: "answered 0.3 s
ago", counted from before sending; "due in 0.2 s", counted from receipt; "lapses in 5 s", counted
from before asking. Each error of a round trip is on the safe side, so their clocks may show
anything. The ledger's own clock may be set: it never goes back here (time stands still, then goes
on), and a jump forward is seen by comparing it with the time that the asking process has measured.

**When books are lost.** There are none, they were kept by another incarnation of the server, or
they know less than a process has been told (a restored backup, a replica that lagged): then up to
``L`` requests may have been sent of which nothing is known, and slots made before may still be sent
until they lapse. Nothing is granted until all of that must be over (`Rules.recovery`).

**Turns.** Slots are made for even turns, ``T`` apart, as `window` finds it; who has more demand
than it is given a turn for gets a ticket: the time to come back, after everybody who holds one.
That makes a round of all who want more, of as many turns each as fit in ``ahead`` seconds
(``DIRECT_WEIGHT`` times as many for direct calls), and nobody asks in vain. Direct calls may go
ahead of the turns under the rules of `window`.

All times are whole microseconds, so that Lua and Python count alike.
"""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass, field

from .base import LONGEST_PAUSE_WINDOWS, RAMP_FROM, RAMP_PART, STRETCH, QuotaSettings

SECOND = 1_000_000

DIRECT_WEIGHT = 3
"""Turns in a round for a process with direct calls waiting, beside one for bulk work. Beside one
such process bulk keeps a quarter of the turns, a fifth of all if direct calls burst, too."""

LEASE_S = 5.0
AHEAD_S = 0.5
_SLACK_S = 0.25
_CATCH_UP_S = 0.1
PROMPT = 20_000
"""Nobody is told to come back earlier than this, in microseconds."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What all who share a ledger must agree on; microseconds."""

    limit: int
    window: int
    margin: int
    guard: int
    lease: int
    burst: int
    pause: int
    ahead: int

    @classmethod
    def of(cls, settings: QuotaSettings) -> Rules:
        """The rules that follow from a quota's settings."""
        window_s = settings.window_s
        return cls(
            limit=settings.limit,
            window=_us(window_s),
            margin=_us(settings.margin_s),
            guard=_us(settings.guard_s),
            lease=_us(min(LEASE_S, window_s / 12)),
            burst=settings.burst,
            pause=_us(settings.pause_s),
            ahead=_us(min(AHEAD_S, window_s / 12)),
        )

    @property
    def span(self) -> int:
        """How long a settled slot counts."""
        return self.window + self.margin

    @property
    def unreported(self) -> int:
        """How long after its due time a slot counts of which nothing is heard."""
        return self.lease + self.guard + self.span

    @property
    def recovery(self) -> int:
        """How long nothing is granted when the books are lost."""
        return 2 * self.ahead + self.unreported

    @property
    def slack(self) -> int:
        """Jumps forward of the ledger's clock below this are not noticed."""
        return min(_us(_SLACK_S), self.window // 24)

    @property
    def catch_up(self) -> int:
        """How late a turn may be taken without being lost."""
        return min(_us(_CATCH_UP_S), self.window // 60)

    def words(self) -> str:
        """What must be the same for everybody, as it is kept in the ledger."""
        return f"{self.limit} {self.window} {self.margin} {self.guard} {self.lease}"


def _us(seconds: float) -> int:
    return round(seconds * SECOND)


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one slot.

    ``kind`` is ``S``: settled ``ago`` microseconds ago; ``U``: unused; ``H``: still held, and to be
    leased anew; ``T``: answered with 429, where ``made`` is when the slot was made (-1 unknown) and
    ``ago`` the Retry-After (-1 none).
    """

    kind: str
    slot: str
    ago: int = 0
    made: int = -1


@dataclass(frozen=True, slots=True)
class Call:
    """What a process says in one exchange; microseconds.

    ``books`` and ``seen`` are what its last answer said (0 before the first), ``elapsed`` the time
    it has measured since before it asked for that one. ``direct`` and ``bulk`` are how many more
    slots it wants; -1 for bulk leaves its ticket as it is. ``chance`` in millionths is the jitter
    of a pause. ``trusts_empty`` takes a ledger that does not exist for an unused quota.
    """

    rules: Rules
    process: str
    books: int = 0
    seen: int = 0
    elapsed: int = 0
    direct: int = 0
    bulk: int = 0
    chance: int = 0
    trusts_empty: bool = False
    reports: tuple[Report, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """One slot: its name, in how many microseconds it is due, and whether ahead of the turns."""

    slot: str
    due_in: int
    early: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """The ledger's answer; microseconds.

    ``ask_in`` is -1 when there is nothing left to ask for. With ``quarrel`` the rules of another
    process, nothing was done.
    """

    books: int = 0
    now: int = 0
    paused_in: int = 0
    lost_in: int = 0
    limit: int = 0
    in_window: int = 0
    pauses: int = 0
    ask_in: int = -1
    grants: tuple[Grant, ...] = ()
    quarrel: str = ""


@dataclass(slots=True)
class Ledger:
    """Everything that is kept between exchanges."""

    books: int
    server: str
    now: int
    shift: int
    rules: str
    last_slot: int
    lost_until: int
    anchor: int
    learnt: int
    early_level: int = 0
    early_at: int = 0
    pause_began: int = -1
    paused_until: int = 0
    since_pause: int = 0
    strikes: int = 0
    pauses: int = 0
    slots: dict[str, int] = field(default_factory=dict[str, int])
    askers: dict[str, int] = field(default_factory=dict[str, int])


def exchange(ledger: Ledger | None, clock: int, server: str, call: Call) -> tuple[Ledger, Reply]:
    """One process's reports in, its grants out; the ledger is changed, or a new one made.

    ``clock`` is the time where the ledger is kept, ``server`` the name of its incarnation.
    """
    rules = call.rules
    ledger = _open(ledger, clock, server, call)
    now = _advance(ledger, clock, call)
    if ledger.rules != rules.words():
        # Nobody else is there any more once all slots have run out.
        if any(ends > now for ends in ledger.slots.values()) or ledger.askers:
            return ledger, Reply(quarrel=ledger.rules)
        ledger.rules = rules.words()
        ledger.learnt = 1000 * rules.limit
    for report in call.reports:
        _note(ledger, rules, report, call.chance)
    for slot in [slot for slot, ends in ledger.slots.items() if ends <= now]:
        del ledger.slots[slot]
    for process in [
        process for process, until in ledger.askers.items() if until + 2 * rules.ahead < now
    ]:
        del ledger.askers[process]
    wanted = call.direct + max(0, call.bulk)
    blocked = max(ledger.paused_until, ledger.lost_until) - now
    if blocked > 0:
        return ledger, _reply(ledger, rules, ask_in=blocked if wanted else -1)
    return ledger, _grant(ledger, call)


def _open(ledger: Ledger | None, clock: int, server: str, call: Call) -> Ledger:
    rules = call.rules
    if ledger is not None and ledger.server == server:
        known = call.books == ledger.books
        if call.books <= ledger.books and not (known and call.seen > ledger.now):
            return ledger
    before = ledger.now if ledger is not None else 0
    now = max(clock, before + 1, call.seen + 1)
    unused = ledger is None and call.trusts_empty and call.books == 0
    lost_until = now if unused else now + rules.recovery
    return Ledger(
        books=now,
        server=server,
        now=now,
        shift=now - clock,
        rules=rules.words(),
        last_slot=now,
        lost_until=lost_until,
        anchor=lost_until - rules.span // rules.limit - 1,
        learnt=1000 * rules.limit,
    )


def _advance(ledger: Ledger, clock: int, call: Call) -> int:
    now = clock + ledger.shift
    if now < ledger.now:
        now = ledger.now
    elif call.books == ledger.books and call.seen > 0:
        measured = call.seen + call.elapsed
        if now > measured + call.rules.slack:
            now = max(ledger.now, measured)
    ledger.shift = now - clock
    ledger.now = now
    return now


def _note(ledger: Ledger, rules: Rules, report: Report, chance: int) -> None:
    now = ledger.now
    if report.kind == "S":
        ledger.slots[report.slot] = now - report.ago + rules.span
    elif report.kind == "H":
        ledger.slots[report.slot] = now + rules.unreported
    elif report.kind == "U":
        ledger.slots.pop(report.slot, None)
    elif report.kind == "T":
        _throttled(ledger, rules, report, chance)


def _throttled(ledger: Ledger, rules: Rules, report: Report, chance: int) -> None:
    now = ledger.now
    if ledger.pauses:
        if report.made >= 0 and report.made <= ledger.pause_began:
            return
        if report.made < 0 and ledger.since_pause == 0:
            return
    follows = now < ledger.paused_until + rules.window
    ledger.strikes = ledger.strikes + 1 if follows and ledger.pauses else 1
    if report.ago >= 0:
        least = rules.span * 1000 // ledger.learnt
        pause = min(max(report.ago, least), LONGEST_PAUSE_WINDOWS * rules.window)
    else:
        doubled = rules.pause * 2 ** min(ledger.strikes - 1, 20)
        pause = min(doubled, max(rules.window, rules.pause))
    pause += pause * chance // 4_000_000
    ledger.pauses += 1
    ledger.since_pause = 0
    ledger.pause_began = now
    ledger.paused_until = now + pause
    ledger.anchor = max(ledger.anchor, ledger.paused_until)
    least_learnt = max(1000, 100 * rules.limit)
    ledger.learnt = max(ledger.learnt * 4 // 5, least_learnt)


def _grant(ledger: Ledger, call: Call) -> Reply:
    rules, now = call.rules, ledger.now
    limit = ledger.learnt // 1000
    base = rules.span / limit
    ends = sorted(ledger.slots.values())
    settled = sum(1 for end in ends if end <= now + rules.span)
    # Turns that nobody took are lost, except for the little that covers a late process.
    late = max(rules.catch_up, math.ceil(2 * base))
    ledger.anchor = max(ledger.anchor, now - late - math.ceil(base))
    interval, room = _plan(ends, settled, limit, rules.span, ledger.anchor, now)
    ramping = ledger.pauses > 0 and now < ledger.paused_until + rules.window // RAMP_PART
    drained = (now - ledger.early_at) * rules.burst * 1000 // rules.window
    ledger.early_level = max(0, ledger.early_level - drained)
    ledger.early_at = now

    others = [until for process, until in ledger.askers.items() if process != call.process]
    turns = max(1, math.floor(rules.ahead / (base * (len(others) + 1))))
    # Bulk without a ticket takes one first where others hold some: a process that asks for one slot
    # at a time, and often, is no faster than one that asks for many.
    queues = bool(others) and call.process not in ledger.askers
    direct, bulk = call.direct, max(0, call.bulk)
    grants: list[Grant] = []
    taken = 0
    due = now
    replan = False
    while direct or bulk:
        if replan:
            interval, _ = _plan(ends, settled, limit, rules.span, ledger.anchor, now)
            replan = False
        step = interval
        if ramping:
            way = (now - ledger.paused_until) / (rules.window // RAMP_PART)
            step = step / (RAMP_FROM + (1 - RAMP_FROM) * way)
        turn = ledger.anchor + math.ceil(step)
        if len(ends) >= limit:
            turn = max(turn, ends[len(ends) - limit])
        due = max(turn, now)
        early = (
            direct > 0
            and due > now
            and len(ends) < limit
            and room >= 1
            and ledger.early_level + 1000 <= 1000 * rules.burst
            and not ramping
        )
        if early:
            due = now
            room -= 1
            ledger.early_level += 1000
        else:
            most = turns * DIRECT_WEIGHT if direct else turns
            # Bulk leaves the line short, so that a direct call of another process waits little.
            furthest = 2 * rules.ahead if direct else rules.ahead
            if taken >= most or due > now + furthest or (queues and not direct):
                break
            taken += 1
            ledger.anchor = turn
        ledger.last_slot += 1
        slot = str(ledger.last_slot)
        ledger.slots[slot] = due + rules.unreported
        insort(ends, due + rules.unreported)
        replan = early
        ledger.since_pause += 1
        ledger.learnt = min(ledger.learnt + 100, 1000 * rules.limit)
        grants.append(Grant(slot, due - now, early))
        if direct:
            direct -= 1
        else:
            bulk -= 1
    ask_in = -1
    if direct or bulk:
        # A ticket: after everybody who holds one.
        start = max([ledger.anchor, *others])
        want = min(direct + bulk, turns * DIRECT_WEIGHT if direct else turns)
        ledger.askers[call.process] = start + math.ceil(want * interval)
        ask_in = max(max(start, due) - rules.ahead // 2 - now, PROMPT)
    elif call.bulk >= 0:
        ledger.askers.pop(call.process, None)
    return _reply(ledger, rules, ask_in=ask_in, grants=tuple(grants))


def _plan(
    ends: list[int], settled: int, limit: int, span: int, anchor: int, now: int
) -> tuple[float, float]:
    """The even interval, and how many early grants leave it below twice its least value."""
    base = span / limit
    longest = STRETCH * base
    free = limit - len(ends)
    interval = base
    room = float(free)
    first = max(1, 1 - free)
    have = free + first
    for index in range(first - 1, settled):
        wait = ends[index] - anchor
        interval = max(interval, wait / have)
        room = min(room, have - wait / longest)
        have += 1
    return interval, min(room, free + settled + 1 - (now + span - anchor) / longest)


def _reply(
    ledger: Ledger,
    rules: Rules,
    *,
    ask_in: int,
    grants: tuple[Grant, ...] = (),
) -> Reply:
    now = ledger.now
    return Reply(
        books=ledger.books,
        now=now,
        paused_in=max(0, ledger.paused_until - now),
        lost_in=max(0, ledger.lost_until - now),
        limit=min(ledger.learnt // 1000, rules.limit),
        in_window=len(ledger.slots),
        pauses=ledger.pauses,
        ask_in=ask_in,
        grants=grants,
    )


__all__ = ("Call", "Grant", "Ledger", "Reply", "Report", "Rules", "exchange")
